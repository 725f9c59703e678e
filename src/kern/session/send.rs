// SPDX-License-Identifier: GPL-2.0

//! Sending on an accepted connection: a write becomes records here.
//!
//! # Locking
//!
//! One thread at a time sends, under `lock`, as in kTLS itself. It is taken before all other locks.

use super::super::bindings::{self, delayed_work, msghdr, mutex, sock, socket, work_struct};
use super::super::errno::EOPNOTSUPP;
use super::super::{message, to_result, work};
use super::receive::is_refusal;
use super::{kernel_vec, SessionSocket, RETRY_MS};
use crate::record::{self, Windows};
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::barrier::{smp_mb, Full};
use kernel::types::Opaque;
use tls_hs::ContentType;

/// What is sent as application data.
pub(super) const APPLICATION_DATA: u8 = ContentType::ApplicationData as u8;

/// More than what kTLS has protected and TCP did not take yet: two records and an alert.
const LAST_ROOM: c_int = 128 * 1024;

/// What sending needs to remember.
///
/// # Invariants
///
/// `flusher` is cancelled before the socket is released.
#[pin_data]
pub(super) struct Sender {
    #[pin]
    lock: Opaque<mutex>,
    #[pin]
    flusher: Opaque<delayed_work>,
    socket: *mut socket,
    /// Bytes in a record that has not ended. Under `lock`.
    open: Atomic<u32>,
    /// That record is left open by us, not by the program. Under `lock`, but for
    /// [`Sender::flush_soon`].
    held: Atomic<i32>,
    /// Content of a record, 0 for what the windows have room for.
    record_size: Atomic<u32>,
}

impl Sender {
    pub(super) fn new(socket: *mut socket, record_size: u32) -> impl PinInit<Self> {
        pin_init!(Self {
            lock <- Opaque::ffi_init(|lock| {
                // SAFETY: `lock` is writable and pinned.
                unsafe { bindings::tls_hs_init_mutex(lock) }
            }),
            flusher <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is writable and pinned.
                unsafe { bindings::tls_hs_init_delayed_work(work, Some(flush_work)) }
            }),
            socket,
            open: Atomic::new(0),
            held: Atomic::new(0),
            record_size: Atomic::new(record_size),
        })
    }

    /// Content of the records that are sent, 0 for what the windows have room for.
    pub(super) fn record_size(&self) -> u32 {
        self.record_size.load(Relaxed)
    }

    /// # Errors
    ///
    /// EINVAL if it is not 0, and no size that a record may have.
    pub(super) fn set_record_size(&self, size: u32) -> Result {
        if size != 0 && !record::SIZES.contains(&size) {
            return Err(EINVAL);
        }
        self.record_size.store(size, Relaxed);
        Ok(())
    }

    /// Has the record that is open ended soon, by whoever can.
    pub(super) fn flush_soon(&self) {
        self.held.store(1, Relaxed);
        // SAFETY: Initialised, and cancelled before the socket is released.
        unsafe { work::SESSIONS.add_delayed(self.flusher.get(), RETRY_MS) }
    }

    /// Waits for the flusher. Process context, before the socket is released.
    pub(super) fn stop(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::cancel_delayed_work_sync(self.flusher.get()) };
    }
}

/// The lock of one [`Sender`], held.
pub(super) struct Sending<'a>(&'a Sender);

impl<'a> Sending<'a> {
    /// Waits until nobody else sends.
    ///
    /// # Errors
    ///
    /// EINTR or ERESTARTSYS when a signal comes first.
    pub(super) fn new(sender: &'a Sender) -> Result<Self> {
        // SAFETY: The lock is initialised; the socket lives as long as its sender.
        to_result(unsafe { bindings::tls_hs_mutex_lock(sender.lock.get(), (*sender.socket).sk) })?;
        Ok(Self(sender))
    }

    /// `None` if somebody else sends.
    pub(super) fn try_new(sender: &'a Sender) -> Option<Self> {
        // SAFETY: The lock is initialised.
        let taken = unsafe { bindings::tls_hs_mutex_trylock(sender.lock.get()) };
        // Not then_some(): dropping the guard that is not wanted would unlock.
        taken.then(|| Self(sender))
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        // SAFETY: Taken by who made this.
        unsafe { bindings::mutex_unlock(self.0.lock.get()) }
    }
}

/// What TCP says now, and whether a record has not ended: the answer may be old when it is used.
/// Process context, the socket not locked.
///
/// # Safety
///
/// `sk` is valid and has kTLS on it.
unsafe fn windows(sk: *mut sock) -> (Windows, bool) {
    let mut now = bindings::tls_hs_windows::default();
    // SAFETY: By the requirement.
    unsafe { bindings::tls_hs_get_windows(sk, &mut now) };
    // After a pause TCP begins again with a smaller window, which it sets when it is given data.
    let restart = now.restart.min(now.congestion);
    let idle = now.congestion.checked_shr(now.idle).unwrap_or(0);
    let windows = Windows {
        congestion: idle.max(restart),
        in_flight: now.in_flight,
        segment: now.segment,
        peer: now.peer,
        peer_left: now.peer_left,
        unsent: now.unsent,
        overhead: now.overhead.into(),
        limit: now.limit.into(),
        rate: now.rate,
        corked: now.corked,
        no_delay: now.no_delay,
    };
    (windows, now.open_record)
}

/// A record that has not ended, under the lock of [`Sender`].
impl Sending<'_> {
    fn open(&self) -> u32 {
        self.0.open.load(Relaxed)
    }

    fn set_open(&self, bytes: u32) {
        self.0.open.store(bytes, Relaxed);
    }

    /// Sees to it that the record ends in `ms` milliseconds from when it was first left open, or is
    /// ended already, or is the program's to end.
    fn hold(&self, ms: Option<u32>) {
        let held = self.0.held.xchg(ms.is_some().into(), Relaxed) != 0;
        if let Some(ms) = ms {
            // SAFETY: Initialised, and cancelled before the socket is released.
            unsafe {
                match held {
                    true => work::SESSIONS.add_delayed(self.0.flusher.get(), ms),
                    false => work::SESSIONS.set_delay(self.0.flusher.get(), ms),
                }
            }
        }
    }
}

impl SessionSocket<'_> {
    /// Sends a message of a user's; returns how much of it, or a negative error number.
    ///
    /// # Safety
    ///
    /// `msg` is what the socket layer passed, of `len` bytes.
    pub(super) unsafe fn send(&self, msg: *mut msghdr, len: usize) -> isize {
        let sending = match Sending::new(&self.accepted.sender) {
            Ok(sending) => sending,
            Err(err) => return err.to_errno() as isize,
        };
        // SAFETY: By the requirement.
        let result = unsafe { self.send_all(&sending, msg, len) };
        // SAFETY: As above.
        let flags = unsafe { (*msg).msg_flags };
        drop(sending);
        let refused = is_refusal(result) && self.session().refuse(self);
        self.say_farewell();
        if result < 0 && result != EPIPE.to_errno() as isize {
            // kTLS says to a sender what it says of a record that it refuses.
            if refused || self.session().is_broken() {
                // SAFETY: Process context.
                return unsafe { bindings::tls_hs_broken_pipe(flags) } as isize;
            }
        }
        result
    }

    /// As [`Self::send`], for who sends.
    ///
    /// # Safety
    ///
    /// As [`Self::send`].
    unsafe fn send_all(&self, sending: &Sending<'_>, msg: *mut msghdr, len: usize) -> isize {
        // SAFETY: By the requirement.
        let (content_type, flags) =
            unsafe { (bindings::tls_hs_asked_record_type(msg), (*msg).msg_flags) };
        // As TCP does: they say nothing to who sends, but kTLS refuses what it does not know.
        let flags = flags & !(bindings::MSG_BATCH | bindings::MSG_WAITALL);
        let wait = flags & bindings::MSG_DONTWAIT == 0;
        let began = work::now_ms();
        let mut sent = 0usize;
        loop {
            // kTLS would take data for a record that can't be sent any more.
            let broken = self.session().is_broken();
            if broken || self.is_shut_down() {
                if sent > 0 {
                    break;
                }
                // SAFETY: By the invariants; process context.
                return unsafe {
                    match broken {
                        true => bindings::tls_hs_broken_pipe(flags),
                        false => {
                            let flags = flags as c_int;
                            bindings::sk_stream_error(self.sk(), flags, EPIPE.to_errno())
                        }
                    }
                } as isize;
            }
            let left = len.saturating_sub(sent);
            let ready = self.session().before_send(self, wait);
            // SAFETY: By the requirement, and what was sent is no longer in the message.
            let result = unsafe {
                match ready {
                    Err(err) => err.to_errno() as isize,
                    Ok(()) if matches!(content_type, 0 | APPLICATION_DATA) => {
                        self.send_portion(sending, msg, left, flags, content_type != 0)
                    }
                    Ok(()) => self.send_stock(msg, left, left, flags),
                }
            };
            match usize::try_from(result) {
                Ok(more) if more > 0 => sent = sent.saturating_add(more),
                _ if sent > 0 => break,
                _ => return result,
            }
            // SO_SNDTIMEO is for the whole call.
            let took = work::now_ms().wrapping_sub(began);
            // SAFETY: By the invariants.
            if sent >= len || wait && took >= unsafe { bindings::tls_hs_send_timeout_ms(self.sk()) }
            {
                break;
            }
        }
        self.session().sent(content_type);
        sent as isize
    }

    /// Whether the program, or what ends the connection, has shut it down for sending.
    fn is_shut_down(&self) -> bool {
        // SAFETY: By the invariants.
        let shutdown = unsafe { (&raw const (*self.sk()).sk_shutdown).read_volatile() };
        u32::from(shutdown) & bindings::SEND_SHUTDOWN != 0
    }

    /// Sends the first of the `left` bytes of a message: as many as become records now.
    ///
    /// # Safety
    ///
    /// As [`Self::send`]; the user asked for `flags`, and for a type of record if `typed`.
    unsafe fn send_portion(
        &self,
        sending: &Sending<'_>,
        msg: *mut msghdr,
        left: usize,
        flags: c_uint,
        typed: bool,
    ) -> isize {
        const MORE: c_uint = bindings::MSG_MORE;

        let sk = self.sk();
        // SAFETY: The socket is connected and has kTLS on it.
        let (windows, is_open) = unsafe { windows(sk) };
        if !is_open {
            sending.set_open(0);
            sending.hold(None);
        }
        let fixed = sending.0.record_size();
        let portion = match windows.portion(fixed, sending.open(), left) {
            Some(portion) => portion,
            None => {
                if let Err(err) = self.flush(flags & bindings::MSG_DONTWAIT == 0) {
                    return err.to_errno() as isize;
                }
                sending.set_open(0);
                sending.hold(None);
                match windows.portion(fixed, 0, left) {
                    Some(portion) => portion,
                    None => return EINVAL.to_errno() as isize,
                }
            }
        };
        let (flags, hold) = if portion.ends {
            // SOCK_SEQPACKET's flag belongs to the end of the message.
            let last = portion.len == left && flags & MORE == 0;
            let eor = if last { 0 } else { bindings::MSG_EOR };
            (flags & !(MORE | eor), None)
        } else if flags & (MORE | bindings::MSG_EOR) != 0 {
            (flags, None)
        } else {
            // kTLS takes no MSG_MORE from who asks for a type, and behind an alert of the program's
            // nothing is sent any more that would end the record.
            match windows
                .holds()
                .filter(|_| !typed && !self.session().is_closed())
            {
                None => (flags, None),
                hold => (flags | MORE, hold),
            }
        };
        // SAFETY: By the requirement.
        let result = unsafe { self.send_stock(msg, portion.len, left, flags) };
        if let Ok(sent @ 1..) = u32::try_from(result) {
            if flags & MORE != 0 {
                let open = sending.open().saturating_add(sent);
                sending.set_open(open.checked_rem(windows.limit).unwrap_or(0));
            }
            sending.hold(hold);
        }
        result
    }

    /// Gives kTLS the first `len` of the `left` bytes of a message.
    ///
    /// # Safety
    ///
    /// As [`Self::send`]; `len` is at most `left`.
    unsafe fn send_stock(&self, msg: *mut msghdr, len: usize, left: usize, flags: c_uint) -> isize {
        let Some(sendmsg) = self.stock().sendmsg else {
            return EOPNOTSUPP.to_errno() as isize;
        };
        // SAFETY: By the requirement; the rest of the message is hidden during the call only.
        unsafe {
            let hidden = bindings::tls_hs_msg_hide(msg, len);
            let asked = core::mem::replace(&mut (*msg).msg_flags, flags);
            let result = sendmsg(self.socket, msg, len.min(left)) as isize;
            (*msg).msg_flags = asked;
            bindings::tls_hs_msg_show(msg, hidden);
            result
        }
    }

    /// Sends one record of a type other than application data.
    pub(crate) fn send_record(
        &self,
        content_type: ContentType,
        content: &[u8],
        wait: bool,
    ) -> Result {
        let Some(sendmsg) = self.stock().sendmsg else {
            return Err(EOPNOTSUPP.into());
        };
        let mut control = bindings::tls_hs_control::default();
        // SAFETY: All buffers live through the call and are only read.
        let sent = unsafe {
            let vec = kernel_vec(content.as_ptr().cast_mut(), content.len());
            let mut msg = message(&vec, bindings::ITER_SOURCE);
            bindings::tls_hs_put_record_type(&mut msg, &mut control, content_type as u8);
            msg.msg_flags = bindings::MSG_NOSIGNAL;
            if !wait {
                msg.msg_flags |= bindings::MSG_DONTWAIT;
            }
            sendmsg(self.socket, &mut msg, content.len())
        };
        to_result(sent.min(0))
    }

    /// Ends the record that is open, if one is.
    pub(super) fn flush(&self, wait: bool) -> Result {
        // What goes out before a record whose type is asked for is what was open.
        self.send_record(ContentType::ApplicationData, &[], wait)
    }

    /// Ends the record that we have left open, without waiting for anybody.
    pub(super) fn flush_held(&self) {
        let sender = &self.accepted.sender;
        let Some(sending) = Sending::try_new(sender) else {
            // Who sends now ends it, or leaves it open again; but he may fail.
            // SAFETY: Initialised, and cancelled before the socket is released.
            unsafe { work::SESSIONS.add_delayed(sender.flusher.get(), RETRY_MS) };
            return;
        };
        if sending.0.held.xchg(0, Relaxed) != 0 {
            if let Err(err) = self.flush(false) {
                // Without memory later.
                if err != EAGAIN && err != EPIPE {
                    sending.hold(Some(RETRY_MS));
                }
            }
        }
        drop(sending);
        self.say_farewell();
    }

    /// Sends our last alert if one is to be sent, and ends the connection after a fatal one. Whoever
    /// sends now does it in our place when he is done, so he calls this as well.
    pub(crate) fn say_farewell(&self) {
        // The lock was given back before this looks, or an alert left before this tries the lock.
        smp_mb(Full);
        while let Some(alert) = self.session().farewell() {
            let Some(_sending) = Sending::try_new(&self.accepted.sender) else {
                return;
            };
            if self.session().farewell().is_none() {
                return;
            }
            // Nothing follows, so the buffer's limits need not hold any more; what is in it and
            // the program takes for sent would be lost with the alert.
            // SAFETY: By the invariants the socket is TCP's, and not locked by us.
            unsafe { bindings::tls_hs_open_send_buffer(self.sk(), LAST_ROOM) };
            // Nobody is left to hear of an error.
            let _ = self.send_record(ContentType::Alert, &alert, false);
            self.session().said_farewell(self);
        }
    }
}

/// # Safety
///
/// The workqueue calls this, with the work of a [`Sender`].
unsafe extern "C" fn flush_work(work: *mut work_struct) {
    // SAFETY: The work is the first member of the sender's delayed_work; the socket is not released
    // before the work was cancelled.
    unsafe {
        let delayed = kernel::container_of!(work, delayed_work, work);
        let sender: *const Sender =
            kernel::container_of!(Opaque::cast_from(delayed), Sender, flusher);
        SessionSocket::of((*sender).socket).flush_held();
    }
}
