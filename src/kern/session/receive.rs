// SPDX-License-Identifier: GPL-2.0

//! Receiving on an accepted connection: what is not application data, and records that kTLS refuses.
//!
//! A record that does not authenticate stays where it is, and every call of kTLS meets it again. At
//! a header that it does not take kTLS stops for good: it says so once, by the socket's error, which
//! whoever comes first takes, a sender too.

use super::super::bindings::{self, msghdr, pipe_inode_info, socket};
use super::super::errno::{EBADMSG, EKEYEXPIRED, EMSGSIZE, EOPNOTSUPP};
use super::super::stream;
use super::super::{message, to_result, work};
use super::send::APPLICATION_DATA;
use super::{kernel_vec, SessionSocket, CONTROL_MAX};
use crate::record::RECORD_MAX;
use crate::session::Next;
use kernel::ffi::{c_int, c_long, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;
use tls_hs::ContentType;

/// Records without content that a call goes past that does not wait.
const EMPTY_MAX: u32 = 4096;

/// Bytes in front of a record.
const HEADER_LEN: usize = 5;

/// What is next on a socket.
pub(crate) enum Waiting {
    /// Nothing yet, or the end.
    Nothing,
    /// Application data.
    Data,
    /// A record of this type.
    Control(u8),
}

/// A record that kTLS does not take.
pub(crate) enum Refusal {
    /// Its header, or its protection.
    Header([u8; HEADER_LEN]),
    /// It is authentic, but has no content type.
    Untyped,
}

/// Whether stock may say this of a record that it refuses. It says the same for other reasons.
pub(super) fn is_refusal(result: isize) -> bool {
    [EBADMSG.to_errno(), EMSGSIZE.to_errno(), EINVAL.to_errno()]
        .iter()
        .any(|&errno| errno as isize == result)
}

impl SessionSocket<'_> {
    /// What is next on the socket, without waiting for it. Records of data without content are gone
    /// past.
    pub(crate) fn waiting(&self) -> Result<Waiting> {
        match self.next(false) {
            Err(err) if err == EAGAIN => Ok(Waiting::Nothing),
            next => next,
        }
    }

    /// As [`Self::waiting`], and may wait.
    ///
    /// # Errors
    ///
    /// EAGAIN if nothing is there, or comes in time.
    fn next(&self, wait: bool) -> Result<Waiting> {
        // SAFETY: By the invariants kTLS is on the socket, and this is its table.
        let next = unsafe {
            let stock = self.accepted.stock.load(Relaxed);
            bindings::tls_hs_next_record(self.sk(), stock, wait)
        };
        to_result(next.min(0))?;
        Ok(match next as u8 {
            // The end.
            0 => Waiting::Nothing,
            APPLICATION_DATA => Waiting::Data,
            content_type => Waiting::Control(content_type),
        })
    }

    /// Takes data off the socket, as much as a record has; returns whether there was any in it.
    pub(crate) fn forget_data(&self) -> Result<bool> {
        let mut content = KVec::from_elem(0u8, RECORD_MAX as usize, GFP_KERNEL)?;
        match self.receive(&mut content, bindings::MSG_DONTWAIT, false) {
            // Another thread was faster, and something else is next.
            Err(err) if err == EIO || err == EAGAIN => Ok(false),
            result => result.map(|(len, _)| len > 0),
        }
    }

    /// Takes everything off TCP's receive queue, or closing would reset the connection because of
    /// it. Nothing is read any more.
    pub(crate) fn forget_all(&self) {
        // SAFETY: By the invariants the socket is TCP's; this is process context.
        unsafe {
            bindings::tls_hs_lock_sock(self.sk());
            stream::consume(self.sk(), usize::MAX);
            bindings::release_sock(self.sk());
        }
    }

    /// Whether the client's FIN has come.
    pub(crate) fn is_done(&self) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::tls_hs_sock_done(self.sk()) }
    }

    /// Whether kTLS has stopped at a header.
    pub(crate) fn is_stopped(&self) -> bool {
        // SAFETY: By the invariants kTLS is on the socket.
        unsafe { bindings::tls_hs_rx_stopped(self.sk()) }
    }

    /// Whether there are records that are decrypted and not read.
    pub(super) fn has_listed(&self) -> bool {
        // SAFETY: By the invariants kTLS is on the socket.
        unsafe { bindings::tls_hs_rx_listed(self.sk()) }
    }

    /// Whether kTLS may have met a record that it refuses.
    pub(super) fn is_refusing(&self) -> bool {
        // SAFETY: By the invariants.
        let err = unsafe { bindings::tls_hs_sock_err(self.sk()) };
        self.is_stopped() || -err == EBADMSG.to_errno()
    }

    /// Takes the errors off the socket that kTLS sets for records that it refuses.
    fn clear_refusal(&self) {
        // SAFETY: By the invariants.
        let err = unsafe { bindings::tls_hs_sock_err(self.sk()) };
        if is_refusal(-err as isize) {
            // SAFETY: As above.
            unsafe { bindings::tls_hs_forget_sock_err(self.sk(), err) };
        }
    }

    /// The record that kTLS refuses to go on with, if that is why it failed, and whether all before
    /// it is read.
    pub(crate) fn refusal(&self) -> Option<(Refusal, bool)> {
        self.clear_refusal();
        if self.is_stopped() {
            let (header, is_next) = self.header();
            return Some((Refusal::Header(header), is_next));
        }
        // SAFETY: By the invariants.
        let failures = || unsafe { bindings::tls_hs_decrypt_failures(self.sk()) };
        let before = failures();
        let looked = self.next(false);
        self.clear_refusal();
        match looked {
            // Stock says it of both, but counts only one; so do other connections, in which case
            // the reason is a wrong one.
            Err(err) if err == EBADMSG.into() && failures() == before => {
                Some((Refusal::Untyped, true))
            }
            Err(err) if err == EBADMSG.into() => Some((Refusal::Header(self.header().0), true)),
            _ => None,
        }
    }

    /// Calls what receives for nobody: an error of TCP's that it meets is for the program's next call.
    pub(super) fn keep_error<T>(&self, receive: impl FnOnce() -> Result<T>) -> Result<T> {
        receive().inspect_err(|err| self.give_back(err.to_errno()))
    }

    /// Nobody was told of `err`, which the socket or the session says but once.
    fn give_back(&self, err: c_int) {
        let own = [EAGAIN, EINTR, ERESTARTSYS, EFAULT, ENOMEM, EIO].map(Error::to_errno);
        if err >= 0 || own.contains(&err) {
            return;
        }
        if self.session().has_ended() {
            self.session().say_again(err);
        } else if !is_refusal(err as isize) && err != EKEYEXPIRED.to_errno() {
            // SAFETY: By the invariants.
            unsafe { bindings::tls_hs_keep_sock_err(self.sk(), -err) };
        }
    }

    /// Header of the record that kTLS is at, and whether all before it is read.
    fn header(&self) -> ([u8; HEADER_LEN], bool) {
        let mut header = [0; HEADER_LEN];
        let sk = self.sk();
        // SAFETY: By the invariants the socket is TCP's and has kTLS on it; this is process
        // context. The buffer is as long as is said.
        let is_next = unsafe {
            bindings::tls_hs_lock_sock(sk);
            // A reader has none off the list now.
            let is_next = !self.has_listed();
            let to = header.as_mut_ptr().cast();
            if bindings::tls_hs_taken_bits(sk, to, HEADER_LEN as c_int) != 0 {
                stream::peek(sk, 0, &mut header);
            }
            bindings::release_sock(sk);
            is_next
        };
        (header, is_next)
    }

    /// Takes a record off the socket that is not application data, if one is next; returns its type
    /// and how much of `content` it fills. Only one thread at a time may call this, or read with
    /// control messages.
    pub(crate) fn take_record(
        &self,
        content: &mut [u8; CONTROL_MAX],
    ) -> Result<Option<(u8, usize)>> {
        // Only a look first: data is not ours to take, and another thread may have been here.
        let Waiting::Control(_) = self.waiting()? else {
            return Ok(None);
        };
        let (len, content_type) = self.receive(content, bindings::MSG_DONTWAIT, true)?;
        Ok(Some((content_type, len)))
    }

    /// Receives into a kernel buffer; returns how much, and the record's type, 0 at the end. With
    /// EIO it leaves a record that is not application data where it is, unless it may be `any`.
    fn receive(&self, content: &mut [u8], flags: u32, any: bool) -> Result<(usize, u8)> {
        let Some(recvmsg) = self.stock().recvmsg else {
            return Err(EOPNOTSUPP.into());
        };
        let mut control = bindings::tls_hs_control::default();
        // SAFETY: All buffers live through the call; lengths are theirs.
        unsafe {
            let vec = kernel_vec(content.as_mut_ptr(), content.len());
            let mut msg = message(&vec, bindings::ITER_DEST);
            if any {
                bindings::tls_hs_want_record_type(&mut msg, &mut control);
            }
            let len = recvmsg(self.socket, &mut msg, content.len(), flags as c_int);
            to_result(len.min(0))?;
            if !any {
                return Ok((len as usize, APPLICATION_DATA));
            }
            Ok((len as usize, bindings::tls_hs_record_type(&msg, &control)))
        }
    }

    /// Waits for a record that is not a handshake message, for a program that wants control messages
    /// but has no keys to give to kTLS. With an error number unless there is one.
    fn past_handshake(&self, flags: c_int) -> Result {
        const HANDSHAKE: u8 = ContentType::Handshake as u8;
        while let Waiting::Control(HANDSHAKE) = self.next(waits(flags))? {
            self.session().control(self)?;
        }
        Ok(())
    }

    /// What a read returns after SHUT_RD: the end, or why the session has ended.
    fn read_nothing(&self) -> c_int {
        let error = self.session().discard(self).err();
        let end = self.session().end();
        end.unwrap_or(error.map_or(0, Error::to_errno))
    }

    /// Repeats `call` as long as it stops at a record that is not application data, which stock says
    /// with `stopped`, or with EKEYEXPIRED when a KeyUpdate has been seen before.
    fn past_control(&self, stopped: Error, mut call: impl FnMut() -> isize) -> isize {
        let [stopped, expired] = [stopped.to_errno(), EKEYEXPIRED.to_errno()].map(|e| e as isize);
        loop {
            if let Some(end) = self.session().end() {
                return end as isize;
            }
            // Stock would wait for what does not come.
            if self.is_stopped() && self.session().refuse(self) {
                continue;
            }
            let result = call();
            if result > 0 {
                self.session().received_data();
                self.look_behind();
                return result;
            }
            if (is_refusal(result) || self.is_refusing()) && self.session().refuse(self) {
                continue;
            }
            if result != stopped && result != expired {
                return result;
            }
            match self.session().control(self) {
                Ok(Next::GoOn) => {}
                Ok(Next::End) => return 0,
                Err(err) => {
                    return self.session().end().unwrap_or(err.to_errno()) as isize;
                }
            }
        }
    }

    /// Handles what stock has met behind the data that it has returned. What is wrong is said by the
    /// next call.
    fn look_behind(&self) {
        // SAFETY: By the invariants kTLS is on the socket.
        if unsafe { bindings::tls_hs_key_update_pending(self.sk()) } {
            // Stock does not call the socket readable before the keys are changed.
            let _ = self.session().control(self);
        }
        if self.is_refusing() {
            self.session().refuse(self);
        }
    }

    /// Repeats `call` past records without content, at which stock says 0 as at the end. A client
    /// does not keep a program for ever that did not want to `wait`.
    fn past_empty(&self, wait: bool, mut call: impl FnMut() -> isize) -> isize {
        let mut passed = 0u32;
        loop {
            let before = self.records_read();
            let result = call();
            if result != 0 || self.records_read() == before {
                return result;
            }
            // SAFETY: Process context.
            let interrupted = unsafe { bindings::tls_hs_interrupted(self.sk()) };
            if interrupted != 0 {
                return interrupted as isize;
            }
            passed = passed.saturating_add(1);
            if !wait && passed >= EMPTY_MAX {
                return EAGAIN.to_errno() as isize;
            }
            work::relax();
        }
    }

    /// How many records were read with the present key, in all.
    fn records_read(&self) -> u64 {
        // SAFETY: By the invariants kTLS is on the socket.
        unsafe { bindings::tls_hs_records_read(self.sk()) }
    }
}

/// `recvmsg` of a `proto_ops`.
type Recvmsg = unsafe extern "C" fn(*mut socket, *mut msghdr, usize, c_int) -> c_int;

impl SessionSocket<'_> {
    /// How many of `len` bytes a call with these flags may ask stock for.
    fn limited(&self, len: usize, flags: c_int) -> usize {
        if peeks(flags) {
            // SAFETY: By the invariants kTLS is on the socket; process context.
            len.min(unsafe { bindings::tls_hs_peek_max(self.sk()) })
        } else {
            len
        }
    }

    /// Receives a message for a program that wants control messages.
    ///
    /// # Safety
    ///
    /// `stock` is the socket's, the other arguments are what the socket layer passed.
    unsafe fn receive_typed(
        &self,
        stock: Recvmsg,
        msg: *mut msghdr,
        len: usize,
        flags: c_int,
    ) -> c_int {
        // SAFETY: By the requirement.
        let (control, room) = unsafe { ((*msg).__bindgen_anon_1, (*msg).msg_controllen) };
        let call = || match self.past_handshake(flags) {
            // SAFETY: By the requirement.
            Ok(()) => unsafe {
                (*msg).__bindgen_anon_1 = control;
                (*msg).msg_controllen = room;
                stock(self.socket, msg, self.limited(len, flags), flags) as isize
            },
            Err(err) => err.to_errno() as isize,
        };
        self.past_control(EKEYEXPIRED.into(), || match len {
            0 => call(),
            _ => self.past_empty(waits(flags), call),
        }) as c_int
    }

    /// Receives data for a program that knows of nothing else.
    ///
    /// # Safety
    ///
    /// As [`Self::receive_typed`].
    unsafe fn receive_data(
        &self,
        stock: Recvmsg,
        msg: *mut msghdr,
        len: usize,
        flags: c_int,
    ) -> c_int {
        let all = flags as u32 & bindings::MSG_WAITALL != 0 && !peeks(flags);
        let mut got = 0;
        loop {
            let rest = len.saturating_sub(got);
            // SAFETY: By the requirement, and what was received is no longer room in the message.
            let call = || unsafe {
                // With something there it does not go past what is empty. Who asks for nothing
                // gets that at once.
                if peeks(flags) && rest > 0 {
                    if let Err(err) = self.next(waits(flags)) {
                        return err.to_errno() as isize;
                    }
                }
                stock(self.socket, msg, self.limited(rest, flags), flags) as isize
            };
            let result = match rest {
                0 => call(),
                _ => self.past_control(EIO, || self.past_empty(waits(flags), call)),
            };
            match usize::try_from(result) {
                Ok(more) if more > 0 => got = got.saturating_add(more),
                _ if got > 0 => {
                    self.give_back(result as c_int);
                    return got as c_int;
                }
                _ => return result as c_int,
            }
            // Stock goes on to the next record for MSG_WAITALL, but not past one that it stops at,
            // which waits still or was handled behind the data. All else that ends its wait ends
            // the call.
            let session = self.session();
            let stopped = self.has_listed() || session.is_quiet();
            if !all || got >= len || !stopped || session.has_ended() {
                return got as c_int;
            }
        }
    }
}

/// Whether a call with these flags leaves what it receives.
fn peeks(flags: c_int) -> bool {
    flags as u32 & bindings::MSG_PEEK != 0
}

/// Whether a call with these flags waits.
fn waits(flags: c_int) -> bool {
    flags as u32 & bindings::MSG_DONTWAIT == 0
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
pub(super) unsafe extern "C" fn recvmsg(
    socket: *mut socket,
    msg: *mut msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: The caller has a reference to the socket and passes a valid message.
    unsafe {
        let this = SessionSocket::of(socket);
        let Some(stock) = this.stock().recvmsg else {
            return EOPNOTSUPP.to_errno();
        };
        if flags as u32 & bindings::MSG_ERRQUEUE != 0 {
            return stock(socket, msg, len, flags);
        }
        if this.session().is_deaf() {
            return this.read_nothing();
        }
        if bindings::tls_hs_has_type_room(msg) {
            this.receive_typed(stock, msg, len, flags)
        } else {
            this.receive_data(stock, msg, len, flags)
        }
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
pub(super) unsafe extern "C" fn splice_read(
    socket: *mut socket,
    pos: *mut bindings::loff_t,
    pipe: *mut pipe_inode_info,
    len: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: The caller has a reference to the socket and passes valid arguments.
    unsafe {
        let this = SessionSocket::of(socket);
        let Some(stock) = this.stock().splice_read else {
            return EOPNOTSUPP.to_errno() as isize;
        };
        if this.session().is_deaf() {
            return this.read_nothing() as isize;
        }
        // Stock looks at the pipe's side alone, TCP at the socket's as well.
        let flags = match bindings::tls_hs_nonblock(socket) {
            true => flags | bindings::SPLICE_F_NONBLOCK,
            false => flags,
        };
        // Nor does a client keep one that does not want to wait for ever.
        let timeout = (&raw const (*this.sk()).sk_rcvtimeo).read_volatile();
        let wait = flags & bindings::SPLICE_F_NONBLOCK == 0 && timeout == c_long::MAX;
        this.past_control(EINVAL, || {
            this.past_empty(wait, || stock(socket, pos, pipe, len, flags))
        })
    }
}
