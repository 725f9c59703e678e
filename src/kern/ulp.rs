// SPDX-License-Identifier: GPL-2.0

//! The front before the stock "tls" ULP, and the `proto_ops` of the sockets it keeps.
//!
//! The stock ULP refuses sockets that are not ESTABLISHED. The front has its name: it hands
//! ESTABLISHED sockets to stock as they are and keeps CLOSE and LISTEN sockets, by giving them
//! `proto_ops` of ours. Nothing else of a socket changes before TLS_HS is set.
//!
//! `struct proto` is not overridden: it leaks into `sk_prot_creator`, and stock builds its own
//! tables from it.

use super::bindings::{
    self, delayed_work, proto_accept_arg, proto_ops, request_sock, sock, sockaddr, socket,
    sockptr_t, tcp_ulp_ops, work_struct,
};
use super::child::{Accepted, State};
use super::errno::{ECONNABORTED, EISCONN, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP};
use super::ktls::Connected;
use super::lock::LockedSock;
use super::queue::inet_csk;
use super::uapi::OptionValue;
use super::{diag, disarm, listen, session, stat, this_module, to_result, work, CStatic};
use crate::session::Session;
use core::ptr;
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// Ours, registered as "tls" while the module is armed.
///
// SAFETY: All zeros is a valid tcp_ulp_ops.
static FRONT: CStatic<tcp_ulp_ops> = unsafe { CStatic::zeroed() };

/// `proto_ops` of IPv4 and of IPv6 sockets with the front on them.
///
// SAFETY: All zeros is a valid proto_ops.
static OPS: [CStatic<proto_ops>; 2] = unsafe { [CStatic::zeroed(), CStatic::zeroed()] };

/// The "tls" of tls.ko.
///
/// # Invariants
///
/// Null, or valid with a reference to its module held.
static STOCK: Atomic<*mut tcp_ulp_ops> = Atomic::new(ptr::null_mut());

pub(super) fn stock() -> *mut tcp_ulp_ops {
    STOCK.load(Relaxed)
}

/// # Safety
///
/// `sk` is valid.
unsafe fn is_ipv6(sk: *const sock) -> bool {
    // SAFETY: By the requirement.
    u32::from(unsafe { (*sk).__sk_common.skc_family }) == bindings::AF_INET6
}

/// The `proto_ops` that the socket had before us and will have again.
///
/// # Safety
///
/// `sk` is valid.
pub(super) unsafe fn stock_ops(sk: *const sock) -> *const proto_ops {
    // SAFETY: By the requirement.
    if unsafe { is_ipv6(sk) } {
        &raw const bindings::inet6_stream_ops
    } else {
        &raw const bindings::inet_stream_ops
    }
}

/// # Safety
///
/// `sk` is valid.
unsafe fn state(sk: *const sock) -> u32 {
    // SAFETY: By the requirement.
    u32::from(unsafe { (&raw const (*sk).__sk_common.skc_state).read_volatile() })
}

/// The front is registered while this lives.
pub(crate) struct Registration(());

impl Registration {
    /// Finds stock, and takes its name. Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        work::init()?;
        let this = Self(());
        super::child::init()?;
        find_stock()?;
        super::ktls::init(stock())?;
        // SAFETY: Nobody uses the structures yet; stock is valid with its module referenced.
        unsafe {
            for (ops, original) in OPS.iter().zip([
                &raw const bindings::inet_stream_ops,
                &raw const bindings::inet6_stream_ops,
            ]) {
                let ops = ops.get();
                ops.write(ptr::read(original));
                (*ops).owner = this_module();
                (*ops).setsockopt = Some(setsockopt);
                (*ops).release = Some(release);
                (*ops).connect = Some(connect);
                (*ops).sendmsg = Some(sendmsg);
                (*ops).accept = Some(accept);
                (*ops).shutdown = Some(shutdown);
                (*ops).getname = Some(getname);
            }
            let front = FRONT.get();
            (*front).owner = this_module();
            (*front).init = Some(init);
            (*front).clone = Some(clone);
            (*front).update = (*stock()).update;
            (*front).get_info = Some(diag::front);
            (*front).get_info_size = Some(diag::size);
            set_name(front, c"tls");
            listen::init(front);
        }
        disarm::start()?;
        Ok(this)
    }
}

impl Drop for Registration {
    /// Gives the name back to stock. Process context, at unload time: no socket of ours is left.
    fn drop(&mut self) {
        disarm::stop();
        // SAFETY: What is undone here was done in new(), as far as it came.
        unsafe {
            work::exit();
            // Lockless readers of icsk_ulp_ops (tcp_diag), and the last instructions of our own
            // callbacks, may be preempted.
            bindings::synchronize_rcu_tasks();
            super::child::exit();
            if !stock().is_null() {
                bindings::module_put((*stock()).owner);
            }
        }
    }
}

/// Takes the name "tls" from stock. Process context, under the lock of [`disarm`]; stock has it.
pub(super) fn arm() -> Result {
    // SAFETY: Both are set up since new(), and stay.
    unsafe {
        let front = FRONT.get();
        // The front joins the list behind stock under another name, which one store of a byte
        // then turns into "tls", and stock leaves: the name is found at all times.
        set_name(front, c"tls_hs");
        to_result(bindings::tcp_register_ulp(front))?;
        for at in 3..c"tls_hs".count_bytes() {
            set_name_byte(front, at, 0);
        }
        bindings::tcp_unregister_ulp(stock());
    }
    Ok(())
}

/// Gives the name "tls" back to stock, which is found at all times. Sockets that have the front
/// keep it. Process context, under the lock of [`disarm`]; the front has the name.
pub(super) fn disarm() -> Result {
    // SAFETY: As in arm().
    unsafe {
        set_name_byte(stock(), 2, b'S');
        let result = to_result(bindings::tcp_register_ulp(stock()));
        set_name_byte(stock(), 2, b's');
        result?;
    }
    withdraw();
    Ok(())
}

/// Takes the front off the list of ULPs. As [`disarm`].
pub(super) fn withdraw() {
    // SAFETY: The front is registered.
    unsafe { bindings::tcp_unregister_ulp(FRONT.get()) }
}

/// # Safety
///
/// `ops` is valid.
unsafe fn set_name(ops: *mut tcp_ulp_ops, name: &CStr) {
    // SAFETY: By the requirement.
    unsafe {
        for (to, from) in (*ops).name.iter_mut().zip(name.to_bytes_with_nul()) {
            *to = *from;
        }
    }
}

/// # Safety
///
/// `ops` is valid; readers of the list may be looking.
unsafe fn set_name_byte(ops: *mut tcp_ulp_ops, index: usize, byte: u8) {
    // SAFETY: By the requirement; one byte is stored at once.
    unsafe {
        (&raw mut (*ops).name)
            .cast::<u8>()
            .wrapping_add(index)
            .write_volatile(byte)
    }
}

/// Reads the stock ULP off a socket that pretends to be connected: tls.ko exports it nowhere.
fn find_stock() -> Result {
    let mut socket: *mut socket = ptr::null_mut();
    // SAFETY: Plain calls with valid arguments; the socket is ours alone.
    unsafe {
        bindings::tls_hs_request_tls();
        to_result(bindings::sock_create_kern(
            &raw mut bindings::init_net,
            bindings::AF_INET as c_int,
            bindings::sock_type_SOCK_STREAM as c_int,
            bindings::IPPROTO_TCP as c_int,
            &mut socket,
        ))?;
        let sk = (*socket).sk;
        (*sk).__sk_common.skc_state = bindings::TCP_ESTABLISHED as u8;
        let err = bindings::tls_hs_set_ulp_tls(sk);
        (*sk).__sk_common.skc_state = bindings::TCP_CLOSE as u8;
        let ulp = (*inet_csk(sk)).icsk_ulp_ops.cast_mut();
        let found = err == 0
            && !ulp.is_null()
            && (*ulp).owner != this_module()
            && bindings::try_module_get((*ulp).owner);
        if found {
            STOCK.store(ulp, Relaxed);
        }
        bindings::sock_release(socket);
        to_result(err)?;
        if found {
            Ok(())
        } else {
            Err(ENOENT)
        }
    }
}

/// The front's `init`: a user sets "tls" on a socket. The socket is locked.
///
/// # Safety
///
/// TCP calls this, with the socket locked.
unsafe extern "C" fn init(sk: *mut sock) -> c_int {
    // SAFETY: TCP passes a valid, locked socket; stock is valid.
    unsafe {
        if !matches!(state(sk), bindings::TCP_CLOSE | bindings::TCP_LISTEN) {
            let Some(init) = (*stock()).init else {
                return ENOTCONN.to_errno();
            };
            let Ok(job) = HandOver::new(sk) else {
                return ENOMEM.to_errno();
            };
            let err = init(sk);
            if err == 0 {
                job.queue();
            }
            return err;
        }
        let plain = if is_ipv6(sk) {
            &raw const bindings::tcpv6_prot
        } else {
            &raw const bindings::tcp_prot
        };
        let socket = (*sk).sk_socket;
        // A socket in a sockmap, of MPTCP or of the kernel is not ours to change, nor is one whose
        // connection was reset: unlike that, one that listens or was disconnected is unconnected.
        if (*sk).__sk_common.skc_prot.cast_const() != plain
            || socket.is_null()
            || (*socket).ops != stock_ops(sk)
            || (*socket).state != bindings::socket_state_SS_UNCONNECTED
        {
            return ENOTCONN.to_errno();
        }
        // Put by __sock_release().
        bindings::__module_get(this_module());
        let ops = OPS[usize::from(is_ipv6(sk))].get().cast_const();
        (&raw mut (*socket).ops).write_volatile(ops);
        stat::Stats::of(sk).enter(stat::Gauge::Listeners);
        0
    }
}

/// The front's `clone`: a listener with our ULP has a new connection that no [`super::child`] took
/// over yet.
///
/// # Safety
///
/// TCP calls this in SoftIRQ, with the new socket locked.
unsafe extern "C" fn clone(_req: *const request_sock, newsk: *mut sock, _gfp: c_uint) {
    // SAFETY: TCP calls this in SoftIRQ with the new socket locked.
    unsafe { listen::strip(newsk) }
}

/// Milliseconds until a socket is looked at again that a process owns.
const HAND_OVER_MS: u32 = 10;

/// Work that puts stock's own ULP on an established socket. It does not wait for the socket's lock,
/// which a program may hold for as long as it likes, and others' work with it.
struct HandOver {
    work: delayed_work,
    sk: *mut sock,
}

impl HandOver {
    fn new(sk: *mut sock) -> Result<KBox<Self>> {
        let work = Default::default();
        Ok(KBox::new(Self { work, sk }, GFP_KERNEL)?)
    }

    /// An established socket becomes stock's own: TCP will store the front in it when `init`
    /// returns, which would pin this module for as long as the connection lasts.
    ///
    /// # Safety
    ///
    /// The socket is valid and locked.
    unsafe fn queue(self: KBox<Self>) {
        let job = KBox::into_raw(self);
        // SAFETY: The job is ours until it is queued; the references to the socket and to this
        // module go with it. TCP holds one to this module during `init`.
        unsafe {
            bindings::tls_hs_sock_hold((*job).sk);
            bindings::__module_get(this_module());
            bindings::tls_hs_init_delayed_work(&raw mut (*job).work, Some(hand_over_work));
            work::QUEUE.add_delayed(&raw mut (*job).work, 0);
        }
    }
}

/// # Safety
///
/// The workqueue calls this, with what [`HandOver::queue`] queued.
unsafe extern "C" fn hand_over_work(work: *mut work_struct) {
    // SAFETY: HandOver::queue() queued a field of a boxed job, with references to the socket and to
    // this module.
    unsafe {
        let delayed = kernel::container_of!(work, delayed_work, work);
        let job = kernel::container_of!(delayed, HandOver, work);
        let sk = (*job).sk;
        let Some(locked) = LockedSock::try_new(sk) else {
            return work::QUEUE.add_delayed(delayed, HAND_OVER_MS);
        };
        let icsk = inet_csk(sk);
        let ours = (*icsk).icsk_ulp_ops == FRONT.get().cast_const()
            && bindings::try_module_get((*stock()).owner);
        if ours {
            (&raw mut (*icsk).icsk_ulp_ops).write_volatile(stock());
        }
        drop(locked);
        drop(KBox::from_raw(job));
        bindings::tls_hs_sock_put(sk);
        if ours {
            // The socket's.
            bindings::module_put(this_module());
        }
        bindings::module_put(this_module());
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
    // SAFETY: The caller has a reference to the socket; the option's memory is looked at only
    // through OptionValue.
    unsafe {
        let sk = (*socket).sk;
        let (level, option) = (level as u32, name as u32);
        let refused = match level {
            bindings::SOL_TCP => matches!(option, bindings::TCP_FASTOPEN | bindings::TCP_REPAIR),
            // Makes a connected socket one of IPv4, with stock's table.
            bindings::SOL_IPV6 => option == bindings::IPV6_ADDRFORM,
            _ => false,
        };
        if refused {
            return EOPNOTSUPP.to_errno();
        }
        if level != bindings::SOL_TLS {
            let Some(stock) = (*stock_ops(sk)).setsockopt else {
                return EOPNOTSUPP.to_errno();
            };
            return stock(socket, level as c_int, name, value, len);
        }
        if option != bindings::TLS_HS {
            return ENOPROTOOPT.to_errno();
        }
        match set_tls_hs(sk, &OptionValue::new(value, len)) {
            Ok(()) => 0,
            Err(err) => err.to_errno(),
        }
    }
}

/// # Safety
///
/// `sk` is a socket with our `proto_ops`, not locked.
unsafe fn set_tls_hs(sk: *mut sock, value: &OptionValue) -> Result {
    let config = crate::listener::config(value)?;
    // SAFETY: By the requirement.
    unsafe {
        bindings::tls_hs_lock_sock(sk);
        let result = if matches!(state(sk), bindings::TCP_CLOSE | bindings::TCP_LISTEN) {
            listen::install(sk, config)
        } else {
            Err(EISCONN.into())
        };
        bindings::release_sock(sk);
        result
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn connect(
    socket: *mut socket,
    addr: *mut bindings::sockaddr_unsized,
    len: c_int,
    flags: c_int,
) -> c_int {
    // The socket layer takes an address of any length.
    if usize::try_from(len).is_ok_and(|len| len < size_of::<bindings::sa_family_t>()) {
        return EINVAL.to_errno();
    }
    // SAFETY: The caller has a reference to the socket, and the address has a family.
    unsafe {
        let family = u32::from((*addr.cast::<sockaddr>()).sa_family);
        match (*stock_ops((*socket).sk)).connect {
            // Disconnects, as on any listener.
            Some(stock) if family == bindings::AF_UNSPEC => {
                stopping((*socket).sk, || stock(socket, addr, len, flags))
            }
            _ => EOPNOTSUPP.to_errno(),
        }
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn sendmsg(socket: *mut socket, msg: *mut bindings::msghdr, len: usize) -> c_int {
    // SAFETY: The caller has a reference to the socket and passes a valid message.
    unsafe {
        match (*stock_ops((*socket).sk)).sendmsg {
            // It would connect the socket.
            Some(stock) if (*msg).msg_flags & bindings::MSG_FASTOPEN == 0 => {
                stock(socket, msg, len)
            }
            _ => EOPNOTSUPP.to_errno(),
        }
    }
}

/// Runs `stock`, which makes a listening socket stop.
///
/// # Safety
///
/// `sk` has our table, and is not locked.
unsafe fn stopping(sk: *mut sock, stock: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: By the requirement.
    let stopped = unsafe { listen::stop(sk) };
    let result = stock();
    if let Some(stopped) = stopped {
        stopped.resume();
    }
    result
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn shutdown(socket: *mut socket, how: c_int) -> c_int {
    // SAFETY: The caller has a reference to the socket.
    unsafe {
        let sk = (*socket).sk;
        let Some(stock) = (*stock_ops(sk)).shutdown else {
            return EOPNOTSUPP.to_errno();
        };
        // SHUT_RD is 0, SHUT_WR 1, SHUT_RDWR 2.
        if matches!(how, 0 | 2) && state(sk) == bindings::TCP_LISTEN {
            return stopping(sk, || stock(socket, how));
        }
        stock(socket, how)
    }
}

/// `release`: `__sock_release()` puts the module only after this has returned.
///
/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn release(socket: *mut socket) -> c_int {
    // SAFETY: The caller releases the socket, nobody else has it.
    unsafe {
        let sk = (*socket).sk;
        // An accept() that failed: never grafted.
        if sk.is_null() {
            return 0;
        }
        stat::Stats::of(sk).leave(stat::Gauge::Listeners);
        let stopped = listen::stop(sk);
        let stock = (*stock_ops(sk)).release;
        let result = stock.map_or(0, |stock| stock(socket));
        if let Some(stopped) = stopped {
            stopped.uninstall();
        }
        result
    }
}

/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn accept(
    socket: *mut socket,
    newsock: *mut socket,
    arg: *mut proto_accept_arg,
) -> c_int {
    // SAFETY: The caller passes valid sockets and has a reference to this module for `newsock`.
    unsafe {
        let err = bindings::tls_hs_accept(socket, newsock, arg);
        if err != 0 {
            return err;
        }
        let sk = (*newsock).sk;
        (*newsock).ops = stock_ops(sk);

        bindings::tls_hs_lock_sock(sk);
        let accepted = Accepted::take(sk);
        bindings::release_sock(sk);
        let complete = accepted
            .as_ref()
            .filter(|accepted| accepted.state() == State::Complete);
        let result = match complete {
            Some(accepted) => establish(newsock, accepted),
            None => Ok(false),
        };
        if !matches!(result, Ok(true)) {
            // What every TCP socket has until it gets a ULP, as the listener did.
            bindings::tls_hs_support_zerocopy(newsock);
            // do_accept() took a reference for our table in `newsock`.
            bindings::module_put(this_module());
        }
        match result {
            Ok(_) => 0,
            Err(_) => ECONNABORTED.to_errno(),
        }
    }
}

/// Turns a grafted socket whose handshake is complete into one that carries plaintext; true since it
/// has a table of ours then.
///
/// # Safety
///
/// `newsock` is what accept() is about to return.
unsafe fn establish(newsock: *mut socket, accepted: &Accepted) -> Result<bool> {
    // SAFETY: By the requirement.
    unsafe {
        let sk = (*newsock).sk;
        let stats = stat::Stats::of(sk);
        let session = accepted.handshake().established().ok_or(ENOTCONN)?;
        crate::ktls::establish(&session, &Connected::new(sk), &stats)?;
        session::attach(
            newsock,
            Session::new(&session, accepted.handshake().protocol()),
        )?;
    }
    Ok(true)
}

/// `getname`. `do_accept()` asks the listener's for the peer of the new socket, with `peer` of 2.
///
/// # Safety
///
/// The socket layer calls this, for a socket that has our table.
unsafe extern "C" fn getname(socket: *mut socket, addr: *mut sockaddr, peer: c_int) -> c_int {
    // SAFETY: The caller passes a valid socket and room for any address.
    unsafe {
        let sk = (*socket).sk;
        let Some(stock_getname) = (*stock_ops(sk)).getname else {
            return EOPNOTSUPP.to_errno();
        };
        let len = stock_getname(socket, addr, peer);
        if peer == 2 && len > 0 && session::is_ours(socket) {
            (*addr).sa_family = bindings::PF_TLS as u16;
        }
        len
    }
}
