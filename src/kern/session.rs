// SPDX-License-Identifier: GPL-2.0

//! An accepted connection: `proto_ops` that keep TLS out of a program's sight.
//!
//! kTLS gives a program that does not ask for control messages EIO for every record that is not
//! application data, and sends no close_notify. Here such records are taken off the socket and
//! handled, and the call goes on. A program that passes room for control messages gets alerts as from
//! stock.
//!
//! The socket is found through its `ops`, a copy of kTLS's of its own. Whenever kTLS is given keys
//! it sets `ops` to its own table again, and they are put back.
//!
//! # Locking
//!
//! All functions run in process context. Who sends data or changes the sending keys holds the lock
//! of [`send`]; the session's own locks nest inside it.

mod send;

use self::send::{Sender, APPLICATION_DATA, HANDSHAKE};
use super::bindings::{self, msghdr, pipe_inode_info, proto_ops, sock, socket, sockptr_t};
use super::errno::{EKEYEXPIRED, ENOPROTOOPT, EOPNOTSUPP};
use super::ktls::{Connected, Direction};
use super::stat::{Gauge, Stats};
use super::sysctl::Sysctls;
use super::uapi::{OptionValue, UserBuffer};
use super::{this_module, to_result};
use crate::record::RECORD_MAX;
use crate::session::{Next, Session};
use crate::sysctl::Sysctl;
use core::mem::MaybeUninit;
use kernel::ffi::{c_char, c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::global_lock;
use kernel::types::Opaque;
use tls_hs::{Traffic, Version};

/// As much of a record that is not application data is looked at.
pub(crate) const CONTROL_MAX: usize = 64;

/// Our state of one accepted socket.
///
/// # Invariants
///
/// Lives from [`attach`] until the socket's `release`, which is the last call on it. `stock` is a
/// table of kTLS, whose module the socket's ULP pins.
#[pin_data]
#[repr(C)]
struct Accepted {
    /// First, so that the socket's pointer to it is the pointer to all of it.
    #[pin]
    ops: Opaque<proto_ops>,
    stock: Atomic<*const proto_ops>,
    #[pin]
    sender: Sender,
    #[pin]
    session: Session,
}

global_lock! {
    /// Held while kTLS's table may be in a socket instead of ours, because a session changes keys.
    // SAFETY: Initialised in init(), at load time, before any socket can come here.
    unsafe(uninit) static REKEYING: Mutex<()> = ();
}

/// Process context, at load time, once.
pub(super) fn init() {
    // SAFETY: Called once, before the lock is used.
    unsafe { REKEYING.init() };
}

/// Puts our `proto_ops` on a socket that kTLS has its keys on. The socket keeps the reference to
/// this module that its `ops` had. Process context.
///
/// # Safety
///
/// `socket` is connected, kTLS is set up on it, and nobody else uses it yet.
pub(super) unsafe fn attach(socket: *mut socket, session: impl PinInit<Session>) -> Result {
    // SAFETY: By the requirement.
    let stock = unsafe { (*socket).ops };
    // SAFETY: As above; the socket layer keeps `sk`.
    let record_size = unsafe { Sysctls::of((*socket).sk) }.get(Sysctl::RecordSize);
    let accepted = KBox::pin_init(
        pin_init!(Accepted {
            ops <- Opaque::ffi_init(|ops: *mut proto_ops| {
                // SAFETY: `stock` is a valid table and `ops` writable.
                unsafe {
                    ops.write(core::ptr::read(stock));
                    (*ops).owner = this_module();
                    (*ops).release = Some(release);
                    (*ops).recvmsg = Some(recvmsg);
                    (*ops).sendmsg = Some(sendmsg);
                    (*ops).splice_read = Some(splice_read);
                    (*ops).shutdown = Some(shutdown);
                    (*ops).setsockopt = Some(setsockopt);
                    (*ops).getsockopt = Some(getsockopt);
                }
            }),
            stock: Atomic::new(stock),
            sender <- Sender::new(socket, record_size),
            session <- session,
        }),
        GFP_KERNEL_ACCOUNT,
    )?;
    // SAFETY: The value stays where it is until release() frees it.
    unsafe {
        let accepted = KBox::into_raw(Pin::into_inner_unchecked(accepted));
        (&raw mut (*socket).ops).write_volatile(accepted.cast());
        Stats::of((*socket).sk).enter(Gauge::Connections);
    }
    Ok(())
}

/// Whether a socket has a session.
///
/// # Safety
///
/// The caller has a reference to the socket.
pub(super) unsafe fn is_ours(socket: *mut socket) -> bool {
    // SAFETY: By the requirement the socket is valid, and so is the table in it.
    unsafe {
        let ops = (&raw const (*socket).ops).read_volatile();
        (*ops)
            .release
            .is_some_and(|f| f as usize == release as usize)
    }
}

/// What is next on a socket.
pub(crate) enum Waiting {
    /// Nothing yet, or the end.
    Nothing,
    /// Application data.
    Data,
    /// A record of this type.
    Control(u8),
}

/// A socket with a session. Process context.
///
/// # Invariants
///
/// `socket` is not released before the value is gone, so `accepted` is valid.
pub(crate) struct SessionSocket<'a> {
    socket: *mut socket,
    accepted: &'a Accepted,
}

impl<'a> SessionSocket<'a> {
    /// # Safety
    ///
    /// `socket` was passed to one of our `proto_ops` functions, and `'a` ends with that call.
    unsafe fn of(socket: *mut socket) -> Self {
        loop {
            // SAFETY: By the requirement the socket is valid, and so is the table in it; a table of
            // ours is the first member of an `Accepted`, and is not replaced by another of ours.
            unsafe {
                if is_ours(socket) {
                    let accepted = &*(*socket).ops.cast::<Accepted>();
                    return Self { socket, accepted };
                }
            }
            // kTLS has put its own table there: wait until ours is back.
            drop(REKEYING.lock());
        }
    }

    fn sk(&self) -> *mut sock {
        // SAFETY: By the invariants.
        unsafe { (*self.socket).sk }
    }

    fn stock(&self) -> &proto_ops {
        // SAFETY: By the invariants of `Accepted`.
        unsafe { &*self.accepted.stock.load(Relaxed) }
    }

    fn session(&self) -> &'a Session {
        &self.accepted.session
    }

    /// The counters of the socket's namespace.
    pub(crate) fn stats(&self) -> Stats<'_> {
        // SAFETY: The socket is valid by the invariants.
        unsafe { Stats::of(self.sk()) }
    }

    /// Gives kTLS new keys of one direction.
    pub(crate) fn set_keys(&self, to: Direction, version: Version, keys: &Traffic) -> Result {
        let _guard = REKEYING.lock();
        // SAFETY: By the invariants the socket is connected and its ULP kTLS.
        let result = unsafe { Connected::new(self.sk()) }.set_keys(to, version, keys);
        self.put_back();
        result
    }

    /// Makes the socket's `ops` ours again after kTLS has set them. Under [`REKEYING`].
    fn put_back(&self) {
        let ours: *const proto_ops = self.accepted.ops.get();
        // SAFETY: By the invariants.
        unsafe {
            let ops = (&raw const (*self.socket).ops).read_volatile();
            if ops != ours {
                self.accepted.stock.store(ops, Relaxed);
                (&raw mut (*self.socket).ops).write_volatile(ours);
            }
        }
    }

    /// Sends one record of a type other than application data.
    pub(crate) fn send_record(&self, content_type: u8, content: &[u8], wait: bool) -> Result {
        let Some(sendmsg) = self.stock().sendmsg else {
            return Err(EOPNOTSUPP.into());
        };
        let mut control = bindings::tls_hs_control::default();
        // SAFETY: All buffers live through the call and are only read.
        let sent = unsafe {
            let mut msg = MaybeUninit::<msghdr>::zeroed().assume_init();
            let mut vec = kernel_vec(content.as_ptr().cast_mut(), content.len());
            bindings::tls_hs_put_record_type(&mut msg, &mut control, content_type);
            msg.msg_flags = bindings::MSG_NOSIGNAL;
            if !wait {
                msg.msg_flags |= bindings::MSG_DONTWAIT;
            }
            bindings::iov_iter_kvec(
                &mut msg.msg_iter,
                bindings::ITER_SOURCE as c_uint,
                &raw mut vec,
                1,
                content.len(),
            );
            sendmsg(self.socket, &mut msg, content.len())
        };
        to_result(sent.min(0))
    }

    /// Whether the present sending keys have protected as many records as they should.
    pub(crate) fn keys_are_worn(&self) -> bool {
        // SAFETY: By the invariants kTLS is on the socket.
        unsafe {
            let most = Sysctls::of(self.sk()).get(Sysctl::RekeyRecords);
            bindings::tls_hs_records_sent(self.sk()) >= u64::from(most)
        }
    }

    /// What is next on the socket, without waiting for it.
    pub(crate) fn waiting(&self) -> Result<Waiting> {
        self.look(bindings::MSG_DONTWAIT)
    }

    /// As [`Self::waiting`], but waits unless `flags` say otherwise.
    fn look(&self, flags: u32) -> Result<Waiting> {
        let mut content = [0; 1];
        match self.receive(&mut content, flags | bindings::MSG_PEEK) {
            Ok((_, APPLICATION_DATA)) => Ok(Waiting::Data),
            // The end.
            Ok((_, 0)) => Ok(Waiting::Nothing),
            Ok((_, content_type)) => Ok(Waiting::Control(content_type)),
            Err(err) if err == EAGAIN && flags & bindings::MSG_DONTWAIT != 0 => {
                Ok(Waiting::Nothing)
            }
            Err(err) => Err(err),
        }
    }

    /// Takes data off the socket, as much as a record has.
    pub(crate) fn forget_data(&self) -> Result {
        let mut content = KVec::from_elem(0u8, RECORD_MAX as usize, GFP_KERNEL)?;
        self.receive(&mut content, bindings::MSG_DONTWAIT)?;
        Ok(())
    }

    /// Takes a record off the socket that is not application data, if one is next; returns its type
    /// and how much of `content` it fills. Only one thread at a time may call this.
    pub(crate) fn take_record(
        &self,
        content: &mut [u8; CONTROL_MAX],
    ) -> Result<Option<(u8, usize)>> {
        // Only a look first: data is not ours to take, and another thread may have been here.
        let Waiting::Control(_) = self.waiting()? else {
            return Ok(None);
        };
        let (len, content_type) = self.receive(content, bindings::MSG_DONTWAIT)?;
        Ok(Some((content_type, len)))
    }

    /// Receives into a kernel buffer; returns how much, and the record's type, 0 at the end.
    fn receive(&self, content: &mut [u8], flags: u32) -> Result<(usize, u8)> {
        let Some(recvmsg) = self.stock().recvmsg else {
            return Err(EOPNOTSUPP.into());
        };
        let mut control = bindings::tls_hs_control::default();
        // SAFETY: All buffers live through the call; lengths are theirs.
        unsafe {
            let mut msg = MaybeUninit::<msghdr>::zeroed().assume_init();
            let mut vec = kernel_vec(content.as_mut_ptr(), content.len());
            bindings::tls_hs_want_record_type(&mut msg, &mut control);
            bindings::iov_iter_kvec(
                &mut msg.msg_iter,
                bindings::ITER_DEST as c_uint,
                &raw mut vec,
                1,
                content.len(),
            );
            let len = recvmsg(self.socket, &mut msg, content.len(), flags as c_int);
            to_result(len.min(0))?;
            Ok((len as usize, bindings::tls_hs_record_type(&msg, &control)))
        }
    }

    /// Waits for a record that is not a handshake message, for a program that wants control messages
    /// but has no keys to give to kTLS. With an error number unless there is one.
    fn past_handshake(&self, flags: u32) -> Result {
        let flags = flags & bindings::MSG_DONTWAIT;
        while let Waiting::Control(HANDSHAKE) = self.look(flags)? {
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
            let result = call();
            if result > 0 {
                self.session().received_data();
                // Stock has met a KeyUpdate behind the data, and does not call the socket readable
                // before the keys are changed.
                // SAFETY: By the invariants kTLS is on the socket.
                if unsafe { bindings::tls_hs_key_update_pending(self.sk()) } {
                    // What is wrong is said by the next call.
                    let _ = self.session().control(self);
                }
                return result;
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
}

fn kernel_vec(base: *mut u8, len: usize) -> bindings::kvec {
    bindings::kvec {
        iov_base: base.cast(),
        iov_len: len,
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn recvmsg(
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
        if (*msg).msg_controllen != 0 {
            return match this.past_handshake(flags as u32) {
                Ok(()) => stock(socket, msg, len, flags),
                Err(err) => this.session().end().unwrap_or(err.to_errno()),
            };
        }
        // Stock goes on to the next record for MSG_WAITALL, but not past one that it stops at.
        let all =
            flags as u32 & (bindings::MSG_WAITALL | bindings::MSG_PEEK) == bindings::MSG_WAITALL;
        let mut got = 0;
        loop {
            let rest = len.saturating_sub(got);
            let result = this.past_control(EIO, || stock(socket, msg, rest, flags) as isize);
            match usize::try_from(result) {
                Ok(more) if more > 0 => got = got.saturating_add(more),
                _ if got > 0 => return got as c_int,
                _ => return result as c_int,
            }
            if !all || got >= len {
                return got as c_int;
            }
        }
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn splice_read(
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
        this.past_control(EINVAL, || stock(socket, pos, pipe, len, flags))
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn sendmsg(socket: *mut socket, msg: *mut msghdr, len: usize) -> c_int {
    // SAFETY: The caller has a reference to the socket and passes a valid message.
    unsafe {
        let this = SessionSocket::of(socket);
        let sk = this.sk();
        if this.session().is_deaf() {
            // Nobody else sees alerts and KeyUpdates. What is wrong is said below.
            let _ = this.session().discard(&this);
        }
        let shutdown = u32::from((&raw const (*sk).sk_shutdown).read_volatile());
        if shutdown & bindings::SEND_SHUTDOWN != 0 || this.session().is_broken() {
            // kTLS would take data for a record that can't be sent any more.
            return bindings::sk_stream_error(sk, (*msg).msg_flags as c_int, EPIPE.to_errno());
        }
        this.send(msg, len) as c_int
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn shutdown(socket: *mut socket, how: c_int) -> c_int {
    // SAFETY: The caller has a reference to the socket.
    unsafe {
        let this = SessionSocket::of(socket);
        let Some(stock) = this.stock().shutdown else {
            return EOPNOTSUPP.to_errno();
        };
        // SHUT_RD is 0, SHUT_WR 1, SHUT_RDWR 2.
        if matches!(how, 1 | 2) {
            this.session().close(&this);
        }
        if matches!(how, 0 | 2) {
            this.session().stop_reading();
            // What is wrong is said by the next call.
            let _ = this.session().discard(&this);
        }
        stock(socket, how)
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn release(socket: *mut socket) -> c_int {
    // SAFETY: The caller releases the socket, nobody else has it; our table was in it.
    unsafe {
        let this = SessionSocket::of(socket);
        let accepted = (&raw const *this.accepted).cast_mut();
        let stock = this.stock().release;
        this.stats().leave(Gauge::Connections);
        this.accepted.sender.stop();
        if bindings::tls_hs_can_send(this.sk()) {
            this.session().release(&this);
        }
        let result = stock.map_or(0, |stock| stock(socket));
        drop(Pin::new_unchecked(KBox::from_raw(accepted)));
        result
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn setsockopt(
    socket: *mut socket,
    level: c_int,
    name: c_int,
    value: sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: The caller has a reference to the socket.
    unsafe {
        let this = SessionSocket::of(socket);
        let Some(stock) = this.stock().setsockopt else {
            return EOPNOTSUPP.to_errno();
        };
        if level as u32 != bindings::SOL_TLS {
            let result = stock(socket, level, name, value, len);
            if level as u32 == bindings::SOL_TCP
                && matches!(name as u32, bindings::TCP_CORK | bindings::TCP_NODELAY)
            {
                this.flush_held();
            }
            return result;
        }
        if name as u32 == bindings::TLS_HS_RECORD_SIZE {
            let result = OptionValue::new(value, len).number();
            let result = result.and_then(|size| this.accepted.sender.set_record_size(size));
            return result.map_or_else(|err| err.to_errno(), |()| 0);
        }
        let _guard = REKEYING.lock();
        let result = stock(socket, level, name, value, len);
        this.put_back();
        result
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn getsockopt(
    socket: *mut socket,
    level: c_int,
    name: c_int,
    value: *mut c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: The caller has a reference to the socket; user memory is written only by
    // UserBuffer.
    unsafe {
        let this = SessionSocket::of(socket);
        let buffer = UserBuffer::new(value, len);
        let own = match (level as u32, name as u32) {
            (bindings::SOL_TLS, bindings::TLS_HS_INFO) => buffer.write(&this.session().info()),
            (bindings::SOL_TLS, bindings::TLS_HS_RECORD_SIZE) => {
                buffer.write(&this.accepted.sender.record_size())
            }
            _ => Err(ENOPROTOOPT.into()),
        };
        match own {
            Ok(()) => return 0,
            Err(err) if err != ENOPROTOOPT.into() => return err.to_errno(),
            Err(_) => {}
        }
        match this.stock().getsockopt {
            Some(stock) => stock(socket, level, name, value, len),
            None => EOPNOTSUPP.to_errno(),
        }
    }
}
