// SPDX-License-Identifier: GPL-2.0
//! The table as a picture: SVG, time of a handshake's public-key operations for each library.

use crate::libraries::{Library, OPERATIONS};
use std::fmt::Write;

/// Parts of a handshake: the columns of a key pair, a secret and the signature.
const PARTS: [(&str, &str); 3] = [
    ("key pair", "#4878a8"),
    ("shared secret", "#e49444"),
    ("signature", "#6a9f58"),
];
const HANDSHAKES: [(&str, [usize; 3]); 2] = [("P-256", [1, 2, 0]), ("X25519", [3, 4, 0])];

/// Microseconds that fill the width; what is longer is cut and says its time.
const SCALE: f64 = 120.0;
const WIDTH: f64 = 480.0;
const LEFT: f64 = 210.0;
const ROW: f64 = 22.0;

/// Horizontal stacked bars: for each handshake, one to a library.
pub fn bars(rows: &[(&Library, [Option<f64>; OPERATIONS.len()])]) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    for (handshake, columns) in HANDSHAKES {
        let _ = writeln!(
            body,
            "<text x='8' y='{y}' font-weight='bold'>{handshake} key exchange, ECDSA P-256</text>"
        );
        y += 8.0;
        for (library, times) in rows {
            let _ = writeln!(body, "<text x='8' y='{}'>{}</text>", y + 14.0, library.name);
            let (mut x, mut total) = (LEFT, 0.0);
            for (column, (_, colour)) in columns.into_iter().zip(PARTS) {
                let time = times[column].unwrap_or(0.0);
                let width = (time / SCALE * WIDTH).min(LEFT + WIDTH - x);
                let _ = writeln!(
                    body,
                    "<rect x='{x:.1}' y='{y:.1}' width='{width:.1}' height='{}' fill='{colour}'/>",
                    ROW - 5.0
                );
                x += width;
                total += time;
            }
            let _ = writeln!(
                body,
                "<text x='{:.1}' y='{}'>{total:.1} us</text>",
                x + 6.0,
                y + 14.0
            );
            y += ROW;
        }
        y += 26.0;
    }
    let mut x = LEFT;
    for (part, colour) in PARTS {
        let _ = writeln!(
            body,
            "<rect x='{x}' y='{}' width='12' height='12' fill='{colour}'/>",
            y - 10.0
        );
        let _ = writeln!(body, "<text x='{}' y='{y}'>{part}</text>", x + 18.0);
        x += 130.0;
    }
    let (width, height) = (LEFT + WIDTH + 80.0, y + 14.0);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{body}</svg>\n"
    )
}
