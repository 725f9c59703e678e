// SPDX-License-Identifier: GPL-2.0

//! An accepted connection: `proto_ops` that keep TLS out of a program's sight.
//!
//! kTLS gives a program that does not ask for control messages EIO for every record that is not
//! application data, and sends no close_notify. Here such records are taken off the socket and
//! handled, and the call goes on. A program that passes room for control messages gets alerts as from
//! stock. Keys are the kernel's: programs do not set or read them through the socket.
//!
//! The socket is found through its `ops`, a copy of kTLS's of its own. Whenever kTLS is given keys
//! it sets `ops` to its own table again, and they are put back.
//!
//! # Locking
//!
//! All functions run in process context. Who sends or changes the sending keys holds the lock of
//! [`send`]; the session's own locks nest inside it. Under these it is only tried: an alert that
//! finds somebody sending is left to him.

mod receive;
mod send;
mod watch;

pub(crate) use self::receive::{Refusal, Waiting};
use self::send::{Sender, Sending};
use self::watch::Watch;
use super::bindings::{self, file, msghdr, poll_table_struct, proto_ops, sock, socket, sockptr_t};
use super::errno::EOPNOTSUPP;
use super::ktls::{Connected, Direction};
use super::stat::{Gauge, Stats};
use super::sysctl::Sysctls;
use super::uapi::{OptionValue, UserBuffer};
use super::{this_module, work};
use crate::record::RECORD_MAX;
use crate::session::Session;
use crate::sysctl::Sysctl;
use kernel::ffi::{c_char, c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{new_mutex, Mutex};
use kernel::types::Opaque;
use tls_hs::{Traffic, Version};

/// As much of a record that is not application data is looked at.
pub(crate) const CONTROL_MAX: usize = 64;

/// When work that has got no memory is tried again, in milliseconds.
const RETRY_MS: u32 = 100;

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
    /// Held while kTLS's table may be in the socket instead of ours, because keys change.
    #[pin]
    rekeying: Mutex<()>,
    #[pin]
    sender: Sender,
    #[pin]
    watch: Watch,
    #[pin]
    session: Session,
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
                    (*ops).recvmsg = Some(receive::recvmsg);
                    (*ops).sendmsg = Some(sendmsg);
                    (*ops).splice_eof = Some(splice_eof);
                    (*ops).splice_read = Some(receive::splice_read);
                    (*ops).poll = Some(poll);
                    (*ops).shutdown = Some(shutdown);
                    (*ops).setsockopt = Some(setsockopt);
                    (*ops).getsockopt = Some(getsockopt);
                }
            }),
            stock: Atomic::new(stock),
            rekeying <- new_mutex!(()),
            sender <- Sender::new(socket, record_size),
            watch <- Watch::new(socket),
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
    // SAFETY: By the requirement.
    unsafe { table(socket) }.is_some()
}

/// The table in a socket, if it is one of ours.
///
/// # Safety
///
/// The caller has a reference to the socket.
unsafe fn table(socket: *mut socket) -> Option<*const proto_ops> {
    // SAFETY: By the requirement the socket is valid, and so is the table in it. It is read once:
    // kTLS may put another there at any time.
    unsafe {
        let ops = (&raw const (*socket).ops).read_volatile();
        let ours = (*ops).release? as usize == release as usize;
        ours.then_some(ops)
    }
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
    /// `socket` has a session and is not released during `'a`, which is within a call of one of our
    /// `proto_ops` functions, or work that its `release` waits for.
    unsafe fn of(socket: *mut socket) -> Self {
        loop {
            // SAFETY: By the requirement; a table of ours is the first member of an `Accepted`.
            unsafe {
                if let Some(ops) = table(socket) {
                    let accepted = &*ops.cast::<Accepted>();
                    return Self { socket, accepted };
                }
            }
            // kTLS has put its own table there, and ours will be back as soon as it has let go of
            // the socket: nothing is waited for in between.
            work::nap();
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
        let _guard = self.accepted.rekeying.lock();
        // SAFETY: By the invariants the socket is connected and its ULP kTLS.
        let result = unsafe { Connected::new(self.sk()) }.set_keys(to, version, keys);
        self.put_back();
        result
    }

    /// Makes the socket's `ops` ours again after kTLS has set them. Under `rekeying`.
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

    /// Makes records no longer than `len`, nor than the client takes.
    fn limit_records(&self, len: u16) -> Result {
        if u32::from(len) > RECORD_MAX {
            return Err(EINVAL);
        }
        // kTLS does not change it while a record is open.
        self.flush_held();
        let len = len.min(self.session().fragment_max());
        // SAFETY: By the invariants the socket is connected and its ULP kTLS.
        unsafe { Connected::new(self.sk()) }.set_fragment_max(len)
    }

    /// Ends the connection both ways: who waits to read or write is woken.
    pub(crate) fn hang_up(&self) {
        if let Some(shutdown) = self.stock().shutdown {
            // SAFETY: By the invariants. SHUT_RDWR is 2; it fails if TCP's connection is over.
            unsafe { shutdown(self.socket, 2) };
        }
    }

    /// Whether the present sending keys have protected as many records as they should.
    pub(crate) fn keys_are_worn(&self) -> bool {
        // SAFETY: By the invariants kTLS is on the socket.
        unsafe {
            let most = Sysctls::of(self.sk()).get(Sysctl::RekeyRecords);
            bindings::tls_hs_records_sent(self.sk()) >= u64::from(most)
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
unsafe extern "C" fn sendmsg(socket: *mut socket, msg: *mut msghdr, len: usize) -> c_int {
    // SAFETY: The caller has a reference to the socket and passes a valid message.
    unsafe {
        let this = SessionSocket::of(socket);
        if this.session().is_deaf() {
            // What has just come may be an alert or a KeyUpdate. What is wrong is said below.
            let _ = this.keep_error(|| this.session().discard(&this));
        } else if this.is_refusing() {
            this.session().refuse(&this);
        }
        if this.session().is_broken() {
            return bindings::tls_hs_broken_pipe((*msg).msg_flags);
        }
        this.send(msg, len) as c_int
    }
}

/// Ends what sendfile() has left open at the end of its file. Nobody hears of an error.
///
/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn splice_eof(socket: *mut socket) {
    // SAFETY: The caller has a reference to the socket.
    unsafe {
        let this = SessionSocket::of(socket);
        let sender = &this.accepted.sender;
        match (Sending::new(sender), this.stock().splice_eof) {
            (Ok(_sending), Some(stock)) => stock(socket),
            (Ok(_), None) => {}
            // A signal ends the wait.
            (Err(_), _) => sender.flush_soon(),
        }
        this.say_farewell();
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn poll(
    file: *mut file,
    socket: *mut socket,
    wait: *mut poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: The caller has a reference to the socket and passes valid arguments.
    unsafe {
        let this = SessionSocket::of(socket);
        let mask = this
            .stock()
            .poll
            .map_or(0, |stock| stock(file, socket, wait));
        let listed = this.has_listed();
        // Stock knows of no end before TCP's, forgets that it has stopped, and waits for new keys
        // with what is in front of them.
        if this.session().has_ended() || (this.is_stopped() && !listed) {
            mask | bindings::tls_hs_poll_end()
        } else if listed {
            mask | bindings::tls_hs_poll_in()
        } else {
            mask
        }
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
            // The flusher would be somebody who sends.
            this.accepted.sender.stop();
            this.session().close(&this);
        }
        if matches!(how, 0 | 2) {
            this.session().stop_reading();
            this.accepted.watch.start();
            // What is wrong is said by the next call.
            let _ = this.keep_error(|| this.session().discard(&this));
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
        // As attach() has put it there.
        let accepted = (&raw const (*socket).ops).read_volatile().cast_mut();
        let stock = this.stock().release;
        this.stats().leave(Gauge::Connections);
        this.accepted.watch.stop();
        this.accepted.sender.stop();
        if bindings::tls_hs_can_send(this.sk()) {
            this.session().release(&this);
        }
        if this.session().is_broken() {
            this.forget_all();
        }
        let result = stock.map_or(0, |stock| stock(socket));
        drop(Pin::new_unchecked(KBox::from_raw(
            accepted.cast::<Accepted>(),
        )));
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
        let given = OptionValue::new(value, len);
        let result = match (level as u32, name as u32) {
            (bindings::SOL_TLS, bindings::TLS_TX | bindings::TLS_RX) => Err(EBUSY),
            (bindings::SOL_TLS, bindings::TLS_HS_RECORD_SIZE) => given
                .number()
                .and_then(|size| this.accepted.sender.set_record_size(size)),
            (bindings::SOL_TLS, bindings::TLS_TX_MAX_PAYLOAD_LEN) => {
                given.short().and_then(|len| this.limit_records(len))
            }
            option => {
                let Some(stock) = this.stock().setsockopt else {
                    return EOPNOTSUPP.to_errno();
                };
                let result = stock(socket, level, name, value, len);
                if let (bindings::SOL_TCP, bindings::TCP_CORK | bindings::TCP_NODELAY) = option {
                    this.flush_held();
                }
                return result;
            }
        };
        errno(result)
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
        let result = match (level as u32, name as u32) {
            (bindings::SOL_TLS, bindings::TLS_HS_INFO) => buffer.write(&this.session().info()),
            (bindings::SOL_TLS, bindings::TLS_HS_RECORD_SIZE) => {
                buffer.write(&this.accepted.sender.record_size())
            }
            // What the keys are for: stock would write the keys, too.
            (bindings::SOL_TLS, name @ (bindings::TLS_TX | bindings::TLS_RX)) => buffer.write(
                &bindings::tls_hs_cipher(this.sk(), name == bindings::TLS_TX),
            ),
            _ => {
                return match this.stock().getsockopt {
                    Some(stock) => stock(socket, level, name, value, len),
                    None => EOPNOTSUPP.to_errno(),
                }
            }
        };
        errno(result)
    }
}

fn errno(result: Result) -> c_int {
    result.map_or_else(|err| err.to_errno(), |()| 0)
}
