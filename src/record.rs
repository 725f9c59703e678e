// SPDX-License-Identifier: GPL-2.0

//! How large the records of an accepted connection are.
//!
//! A client can use nothing of a record before it has all of it. While TCP's congestion window is
//! smaller than a record, a full one costs it a round trip, so records end where the window does;
//! once the window is open they are full, which costs least. That is decided before each record.
//!
//! ```text
//!  writes      |------------------ one write of 40 KB ------------------|
//!  window      |---- 14480 ----|                        (ten segments: a new connection)
//!  records     |-- 14458 --|-- 14458 --|--- 11084 ---|
//! ```
//!
//! A record also ends where a write does, unless the program says that more is coming, or TCP has
//! so much to send that nobody would notice: see [`holds`].

/// Most content of a record: RFC 8446 section 5.1.
pub(crate) const RECORD_MAX: u32 = 1 << 14;

/// What a program may ask for; the least is that of record_size_limit, RFC 8449 section 4.
pub(crate) const SIZES: core::ops::RangeInclusive<u32> = 64..=RECORD_MAX;

/// No record is made smaller than this because of a window: a peer could ask for much work with
/// small segments or windows.
const RECORD_MIN: u32 = 1024;

/// Records that are handed to kTLS at once when the window is open: what it says is old then.
const RECORDS_AT_ONCE: u32 = 8;

/// For how long a record is left open for the next write while TCP has enough to send, in
/// milliseconds: two ticks of the slowest usual clock.
const JOIN_MS: u64 = 20;

/// For how long a corked record is left open: as TCP does with a corked segment.
const CORK_MS: u32 = 200;

/// What TCP says about one connection at one time.
pub(crate) struct Windows {
    /// Congestion window, in segments.
    pub(crate) congestion: u32,
    /// Segments on their way.
    pub(crate) in_flight: u32,
    /// Bytes in a segment.
    pub(crate) segment: u32,
    /// The peer's window, in bytes.
    pub(crate) peer: u32,
    /// What of it is left behind everything that was written.
    pub(crate) peer_left: u32,
    /// Bytes that were written and not sent.
    pub(crate) unsent: u32,
    /// Bytes that a record has beside its content.
    pub(crate) overhead: u32,
    /// Most content of a record that the peer takes.
    pub(crate) limit: u32,
    /// Bytes that TCP sends in a second, about.
    pub(crate) rate: u64,
    /// TCP_CORK is set.
    pub(crate) corked: bool,
    /// TCP_NODELAY is set.
    pub(crate) no_delay: bool,
}

/// How much of a write becomes records now.
pub(crate) struct Portion {
    /// Bytes to hand over, as one record or as several full ones.
    pub(crate) len: usize,
    /// They end a record.
    pub(crate) ends: bool,
}

impl Windows {
    /// Content of the next record: `fixed` bytes, or with 0 what the windows have room for.
    fn record(&self, fixed: u32) -> u32 {
        if fixed != 0 {
            return fixed.max(*SIZES.start()).min(self.limit);
        }
        let window = self.congestion.saturating_mul(self.segment).min(self.peer);
        let free = self.congestion.saturating_sub(self.in_flight);
        let room = free
            .saturating_mul(self.segment)
            .saturating_sub(self.unsent)
            .min(self.peer_left);
        // What finds no room waits for acknowledgments; when they come it is at most a window that
        // goes out together.
        let room = if room < self.segment { window } else { room };
        if room >= self.limit.saturating_add(self.overhead) {
            return self.limit;
        }
        // Whole segments, or a record's end would wait for the next one's beginning.
        let part = room.checked_rem(self.segment).unwrap_or(0);
        let content = room.saturating_sub(part).saturating_sub(self.overhead);
        content.max(RECORD_MIN).min(self.limit)
    }

    /// What to do with the first of `left` bytes, behind `open` bytes of a record that has not
    /// ended; none if that record has to end first.
    pub(crate) fn portion(&self, fixed: u32, open: u32, left: usize) -> Option<Portion> {
        let record = self.record(fixed);
        let room = record.checked_sub(open).filter(|&room| room != 0)?;
        let more = if record == self.limit {
            record.saturating_mul(RECORDS_AT_ONCE - 1)
        } else {
            0
        };
        let most = room.saturating_add(more) as usize;
        Some(Portion {
            len: left.min(most),
            ends: left >= most,
        })
    }

    /// For how many milliseconds a write may leave its last record open though the program does not
    /// say that more is coming; none if it may not.
    ///
    /// With TCP_CORK as long as TCP would hold a segment back. Without TCP_NODELAY as long as it
    /// makes no difference: what TCP has not sent yet takes longer than that.
    pub(crate) fn holds(&self) -> Option<u32> {
        if self.corked {
            return Some(CORK_MS);
        }
        let busy = self.unsent >= RECORD_MAX
            && u64::from(self.unsent).saturating_mul(1000) >= self.rate.saturating_mul(2 * JOIN_MS);
        (busy && !self.no_delay).then_some(JOIN_MS as u32)
    }
}
