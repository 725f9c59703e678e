// SPDX-License-Identifier: GPL-2.0

//! What is left of TLS on an accepted connection: alerts, close_notify and KeyUpdate, so that a
//! program sees nothing but data, end of file and errors.
//!
//! Process context. The keys' lock is held while a record is handled and keys are changed, the
//! sender's while records of ours are sent.

use crate::crypto::Lib;
use crate::kern::errno::{EBADMSG, ECONNRESET, EPROTO};
use crate::kern::ktls::Direction;
use crate::kern::session::{Refusal, SessionSocket, Waiting, CONTROL_MAX};
use crate::kern::uapi::{tls_hs_info, TLS_HS_INFO_RESUMED, TLS_HS_INFO_TICKET_AGE};
use crate::stat::Counter;
use kernel::ffi::{c_char, c_int};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full, Relaxed};
use kernel::sync::{new_mutex, Mutex};
use tls_hs::session::{Event, KEY_UPDATE};
use tls_hs::{AlertDescription, ContentType, Established, Traffic, Version};

/// `AlertLevel`, RFC 8446 section 6.
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// Records that are looked at when nobody reads them: more than an honest client leaves.
const DISCARD_MAX: u32 = 4096;

/// Records that are looked at before others have their turn.
const DISCARD_SOME: u32 = 64;

/// Records that are looked at when the socket is closed.
const FINISH_MAX: u32 = 8;

/// No error number: reads go on.
const GOES_ON: c_int = 1;

/// What a call that met a record which is not application data does next.
pub(crate) enum Next {
    /// It goes on.
    GoOn,
    /// End of file.
    End,
}

/// The session of one accepted connection.
#[pin_data]
pub(crate) struct Session {
    #[pin]
    keys: Mutex<tls_hs::session::Session>,
    /// Held by who discards. Taken before `keys`.
    #[pin]
    discarding: Mutex<()>,
    info: tls_hs_info,
    fragment_max: u16,
    /// What reads return from here on, or [`GOES_ON`].
    ended: Atomic<i32>,
    /// Our close_notify or alert is sent, or about to be.
    closed: Atomic<i32>,
    /// Level and description of an alert that is about to be sent, 0 for none.
    farewell: Atomic<i32>,
    /// The client asked for new keys of ours.
    update_due: Atomic<i32>,
    /// No data has come since some other record did.
    quiet: Atomic<i32>,
    /// The program reads no more.
    deaf: Atomic<i32>,
    /// One side has broken the session off: nothing may be sent any more.
    broken: Atomic<i32>,
}

impl Session {
    /// The session that a complete handshake leads to.
    pub(crate) fn new<'a>(
        established: &'a Established<'a>,
        protocol: Option<&'a [u8]>,
    ) -> impl PinInit<Self> + 'a {
        pin_init!(Self {
            keys <- new_mutex!(tls_hs::session::Session::empty()),
            discarding <- new_mutex!(()),
            info: info(established, protocol),
            fragment_max: established.fragment_max,
            ended: Atomic::new(GOES_ON),
            closed: Atomic::new(0),
            farewell: Atomic::new(0),
            update_due: Atomic::new(0),
            quiet: Atomic::new(0),
            deaf: Atomic::new(0),
            broken: Atomic::new(0),
        })
        .pin_chain(|session| {
            session.keys.lock().start(established);
            Ok(())
        })
    }

    /// Answer to TLS_HS_INFO.
    pub(crate) fn info(&self) -> tls_hs_info {
        self.info
    }

    /// Most content of a record that the client takes.
    pub(crate) fn fragment_max(&self) -> u16 {
        self.fragment_max
    }

    /// What a read returns once there is nothing to wait for any more: an error number, as TCP
    /// once, and 0 from then on.
    pub(crate) fn end(&self) -> Option<c_int> {
        match self.ended.load(Relaxed) {
            GOES_ON => None,
            0 => Some(0),
            _ => Some(self.ended.xchg(0, Relaxed)),
        }
    }

    /// Whether there is nothing to wait for any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed) != GOES_ON
    }

    /// Nobody was told of `end`, which [`Session::end`] has said.
    pub(crate) fn say_again(&self, end: c_int) {
        let _ = self.ended.cmpxchg(0, end, Relaxed);
    }

    /// Whether no data has come since some other record did.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Relaxed) != 0
    }

    /// Whether the last record of ours was sent, or is about to be.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed) != 0
    }

    /// The program reads no more: reads return the end.
    pub(crate) fn stop_reading(&self) {
        self.deaf.store(1, Relaxed);
    }

    /// Whether the program has stopped to read.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.load(Relaxed) != 0
    }

    /// Whether nothing may be sent any more, RFC 8446 section 6.2: there was a fatal alert.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed) != 0
    }

    /// Takes in what nobody will read: data is forgotten, everything else is handled. What is
    /// behind more than [`DISCARD_MAX`] records is left there.
    ///
    /// # Errors
    ///
    /// As [`Session::control`].
    pub(crate) fn discard(&self, socket: &SessionSocket<'_>) -> Result {
        self.discard_records(socket, DISCARD_MAX).map(|_| ())
    }

    /// As [`Session::discard`], but fewer; returns whether there may be more.
    pub(crate) fn discard_some(&self, socket: &SessionSocket<'_>) -> Result<bool> {
        self.discard_records(socket, DISCARD_SOME)
    }

    fn discard_records(&self, socket: &SessionSocket<'_>, most: u32) -> Result<bool> {
        let _guard = self.discarding.lock();
        for _ in 0..most {
            if self.has_ended() {
                return Ok(false);
            }
            match socket.waiting() {
                Ok(Waiting::Data) => {
                    if socket.forget_data()? {
                        self.received_data();
                    }
                }
                Ok(Waiting::Control(_)) => {
                    self.control(socket)?;
                }
                Ok(Waiting::Nothing) => {
                    if socket.is_stopped() {
                        self.refuse(socket);
                    }
                    return Ok(false);
                }
                Err(err) => {
                    if self.refuse(socket) {
                        return Ok(false);
                    }
                    return Err(err);
                }
            }
        }
        Ok(true)
    }

    /// Handles records that are not data and that nobody has read before the connection is closed:
    /// TCP would reset it because of them, and the client might lose what it was sent.
    fn finish(&self, socket: &SessionSocket<'_>) -> Result {
        if self.is_deaf() {
            return self.discard(socket);
        }
        for _ in 0..FINISH_MAX {
            match socket.waiting()? {
                Waiting::Control(_) => {
                    self.control(socket)?;
                }
                Waiting::Nothing if socket.is_done() => {
                    // No more than the beginning of a record that does not come.
                    socket.forget_all();
                    break;
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Application data has come.
    pub(crate) fn received_data(&self) {
        if self.quiet.load(Relaxed) != 0 && self.quiet.xchg(0, Relaxed) != 0 {
            self.keys.lock().received_data();
        }
    }

    /// Takes a record that is not application data off the socket, if one is next, and handles it.
    ///
    /// # Errors
    ///
    /// ECONNRESET when the client gave up with an alert, EPROTO when it broke the protocol, and
    /// what kTLS says to new keys. [`Session::end`] says it, too.
    pub(crate) fn control(&self, socket: &SessionSocket<'_>) -> Result<Next> {
        let mut keys = self.keys.lock();
        let mut content = [0; CONTROL_MAX];
        let Some((content_type, len)) = socket.take_record(&mut content)? else {
            return Ok(Next::GoOn);
        };
        self.quiet.store(1, Relaxed);
        let content = content.get(..len).unwrap_or_default();
        match keys.record(content_type, content) {
            Ok(Event::Nothing) => Ok(Next::GoOn),
            Ok(Event::CloseNotify) => {
                self.ended.store(0, Relaxed);
                Ok(Next::End)
            }
            Ok(Event::Alert(_)) => {
                socket.stats().count(Counter::PeerAlert);
                self.closed.store(1, Relaxed);
                Err(self.fail(socket, ECONNRESET.into()))
            }
            Ok(Event::KeyUpdate { answer }) => {
                socket.stats().count(Counter::KeyUpdate);
                let version = keys.version();
                let mut next = Traffic::plain();
                keys.next_client(&mut Lib, &mut next);
                if let Err(err) = socket.set_keys(Direction::Rx, version, &next) {
                    self.goodbye(socket, FATAL, AlertDescription::InternalError);
                    return Err(self.fail(socket, err));
                }
                if answer {
                    self.update_due.store(1, Relaxed);
                }
                Ok(Next::GoOn)
            }
            Err(error) => {
                socket.stats().count(error.0);
                if let Some(alert) = error.0.alert() {
                    self.goodbye(socket, FATAL, alert);
                }
                Err(self.fail(socket, EPROTO.into()))
            }
        }
    }

    /// kTLS does not go on: breaks the session off with an alert if that is because of what the
    /// client has sent. Returns whether reads have come to the end by that, which [`Session::end`]
    /// says.
    pub(crate) fn refuse(&self, socket: &SessionSocket<'_>) -> bool {
        let keys = self.keys.lock();
        let Some((refusal, is_next)) = socket.refusal() else {
            return false;
        };
        if !self.is_broken() {
            let reason = match refusal {
                Refusal::Header(header) => keys.refused(&header),
                Refusal::Untyped => keys.untyped(),
            };
            socket.stats().count(reason);
            self.broken.store(1, Relaxed);
            if let Some(alert) = reason.alert() {
                self.goodbye(socket, FATAL, alert);
            }
        }
        if is_next {
            self.fail(socket, EBADMSG.into());
        } else if self.farewell().is_none() {
            // What is before it can be read still, and nobody waits for what is behind.
            socket.hang_up();
        }
        is_next
    }

    /// The next read ends with `err`, nothing is sent any more, and the connection ends.
    fn fail(&self, socket: &SessionSocket<'_>, err: Error) -> Error {
        self.broken.store(1, Relaxed);
        // Only the first is said.
        let _ = self.ended.cmpxchg(GOES_ON, err.to_errno(), Relaxed);
        if self.farewell().is_none() {
            socket.hang_up();
        }
        err
    }

    /// Changes our keys if the client asked for it, which RFC 8446 section 4.6.3 wants before the
    /// next application data, or if enough was sent with them: section 5.5. In TLS 1.2 keys stay.
    /// The caller is the only one who sends.
    ///
    /// # Errors
    ///
    /// What sending says: EAGAIN when the KeyUpdate does not fit now and `wait` is false.
    pub(crate) fn before_send(&self, socket: &SessionSocket<'_>, wait: bool) -> Result {
        let worn = self.info.version == Version::Tls13.code() && socket.keys_are_worn();
        if !worn && self.update_due.load(Relaxed) == 0 {
            return Ok(());
        }
        self.update_due.store(0, Relaxed);
        let sent = socket.send_record(ContentType::Handshake, &KEY_UPDATE, wait);
        if sent.is_err() {
            self.update_due.store(1, Relaxed);
            return sent;
        }
        socket.stats().count(Counter::OwnKeyUpdate);
        let mut keys = self.keys.lock();
        let version = keys.version();
        let mut next = Traffic::plain();
        keys.next_server(&mut Lib, &mut next);
        socket
            .set_keys(Direction::Tx, version, &next)
            .map_err(|err| self.fail(socket, err))
    }

    /// The program has sent a record of a type of its own choice, 0 for application data.
    pub(crate) fn sent(&self, content_type: u8) {
        if content_type == ContentType::Alert as u8 {
            self.closed.store(1, Relaxed);
        }
    }

    /// Sends close_notify, unless something final was sent already. While another thread sends, the
    /// client sees the end of the connection only.
    pub(crate) fn close(&self, socket: &SessionSocket<'_>) {
        self.goodbye(socket, WARNING, AlertDescription::CloseNotify);
    }

    /// The socket is about to be closed.
    pub(crate) fn release(&self, socket: &SessionSocket<'_>) {
        self.close(socket);
        // Nobody is left to hear of an error.
        let _ = self.finish(socket);
    }

    fn goodbye(&self, socket: &SessionSocket<'_>, level: u8, alert: AlertDescription) {
        if self.closed.xchg(1, Full) == 0 {
            let alert = i32::from(u16::from_be_bytes([level, alert as u8]));
            self.farewell.store(alert, Relaxed);
            socket.say_farewell();
        }
    }

    /// Level and description of the alert that is to be sent as our last record.
    pub(crate) fn farewell(&self) -> Option<[u8; 2]> {
        let [_, _, level, description] = self.farewell.load(Relaxed).to_be_bytes();
        (level != 0).then_some([level, description])
    }

    /// TCP has taken [`Session::farewell`], or never will.
    pub(crate) fn said_farewell(&self, socket: &SessionSocket<'_>) {
        let fatal = matches!(self.farewell(), Some([FATAL, _]));
        self.farewell.store(0, Relaxed);
        if fatal || self.is_broken() {
            socket.hang_up();
        }
    }
}

fn info(established: &Established<'_>, protocol: Option<&[u8]>) -> tls_hs_info {
    let mut info = tls_hs_info {
        version: established.version.code(),
        cipher_suite: established.suite.code(established.version),
        group: established.group.code(),
        flags: flag(established.resumed, TLS_HS_INFO_RESUMED)
            | flag(established.ticket_age.is_some(), TLS_HS_INFO_TICKET_AGE),
        ticket_age: established.ticket_age.unwrap_or(0),
        ..Default::default()
    };
    fill(&mut info.server_name, established.server_name);
    fill(&mut info.alpn, protocol);
    info
}

fn flag(set: bool, flag: u32) -> u16 {
    if set {
        flag as u16
    } else {
        0
    }
}

/// Copies what fits before a final NUL.
fn fill(to: &mut [c_char; 256], from: Option<&[u8]>) {
    let [room @ .., _] = to;
    for (to, from) in room.iter_mut().zip(from.unwrap_or_default()) {
        *to = *from as c_char;
    }
}
