// SPDX-License-Identifier: GPL-2.0

//! How long handshakes take: a histogram with a row for each power of two of microseconds.

use kernel::fmt;
use tls_hs::Version;

/// Full and resumed handshakes of each version.
pub(crate) const COLUMNS: usize = 4;

/// Up to 33 seconds, which is more than a handshake is given as a rule.
pub(crate) const ROWS: usize = 26;

/// The column of a handshake.
pub(crate) fn column(version: Version, resumed: bool) -> usize {
    let version = match version {
        Version::Tls12 => 0,
        Version::Tls13 => 2,
    };
    version + usize::from(resumed)
}

/// The row of a time: 0 for less than two microseconds, each of the others for twice as long as the
/// one before it, the last for all that is longer.
pub(crate) fn row(us: u32) -> usize {
    (us.checked_ilog2().unwrap_or(0) as usize).min(ROWS - 1)
}

/// Prints the table; `count` gives what is in a column and a row of it.
pub(crate) fn show(f: &mut fmt::Formatter<'_>, count: impl Fn(usize, usize) -> u64) -> fmt::Result {
    f.write_str("from_us\ttls12_full\ttls12_resumed\ttls13_full\ttls13_resumed\n")?;
    for row in 0..ROWS {
        let from = if row == 0 { 0 } else { 1u64 << row };
        write!(f, "{from}")?;
        for column in 0..COLUMNS {
            write!(f, "\t{}", count(column, row))?;
        }
        f.write_str("\n")?;
    }
    Ok(())
}
