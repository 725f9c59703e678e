// SPDX-License-Identifier: GPL-2.0

//! Key types of the Key Retention Service, and keyrings as a user sees them.
//!
//! A key's payload is an `Arc` that readers in SoftIRQ take under RCU: `update`, `revoke` and
//! `destroy` replace it and wait for the readers. There is no `read` operation: nothing of a
//! payload goes back to user space.

use super::bindings::{self, key, key_preparsed_payload, key_type};
use super::errno::{ENOKEY, EOPNOTSUPP};
use super::{to_result, CStatic};
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use kernel::ffi::{c_char, c_int};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{rcu, Arc, ArcBorrow};

/// Payloads that there are.
static COUNT: Atomic<i64> = Atomic::new(0);

/// Keys of our types that hold something.
pub(super) fn count() -> i64 {
    COUNT.load(Relaxed)
}

/// Bytes of a payload that count against its owner's quota, at most: the key service keeps what it
/// charged for payload and description in 16 bits, and gives back what is there.
const QUOTA_MAX: usize = u16::MAX as usize - DESCRIPTION_MAX;

/// Longest description of a key, with its end.
const DESCRIPTION_MAX: usize = 4096;

/// What a key of one type holds.
pub(crate) trait Payload: Sized + Send + Sync + 'static {
    /// Name of the type, for `add_key(2)`.
    const NAME: &'static CStr;

    /// The type itself.
    fn key_type() -> &'static KeyType<Self>;

    /// Makes a payload of what a user passed. Process context.
    ///
    /// # Errors
    ///
    /// What `add_key(2)` and `keyctl_update(3)` return.
    fn parse(bytes: &[u8]) -> Result<Self>;
}

/// A key type whose keys hold a `T`.
pub(crate) struct KeyType<T: Payload>(CStatic<key_type>, PhantomData<fn() -> T>);

impl<T: Payload> KeyType<T> {
    pub(crate) const fn new() -> Self {
        // SAFETY: All zeros is a valid key_type.
        Self(unsafe { CStatic::zeroed() }, PhantomData)
    }

    fn register(&'static self) -> Result<Registration<T>> {
        let ours = self.0.get();
        // SAFETY: Nobody uses the structure before it is registered, once.
        unsafe {
            (*ours).name = T::NAME.as_char_ptr().cast();
            (*ours).preparse = Some(preparse::<T>);
            (*ours).free_preparse = Some(free_preparse::<T>);
            (*ours).instantiate = Some(bindings::generic_key_instantiate);
            (*ours).update = Some(update::<T>);
            (*ours).revoke = Some(clear::<T>);
            (*ours).destroy = Some(destroy::<T>);
            (*ours).describe = Some(describe);
            to_result(bindings::register_key_type(ours))?;
        }
        Ok(Registration(self))
    }
}

/// Registers the type of keys that hold a `T` until the result is dropped. Process context, at load
/// time.
pub(crate) fn register<T: Payload>() -> Result<Registration<T>> {
    T::key_type().register()
}

/// A registered key type.
pub(crate) struct Registration<T: Payload>(&'static KeyType<T>);

impl<T: Payload> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: register() registered it. This waits until keys of the type are destroyed.
        unsafe { bindings::unregister_key_type(self.0 .0.get()) }
    }
}

/// # Safety
///
/// The key service calls this, for keys of the type.
unsafe extern "C" fn preparse<T: Payload>(prep: *mut key_preparsed_payload) -> c_int {
    // SAFETY: The key service passes a valid structure whose data is `datalen` bytes of a copy.
    let prep = unsafe { &mut *prep };
    if prep.data.is_null() {
        return EINVAL.to_errno();
    }
    // SAFETY: As above.
    let bytes = unsafe { core::slice::from_raw_parts(prep.data.cast::<u8>(), prep.datalen) };
    let payload = match T::parse(bytes) {
        Ok(payload) => payload,
        Err(err) => return err.to_errno(),
    };
    match Arc::new(payload, GFP_KERNEL) {
        Ok(payload) => {
            // SAFETY: The union's view as an array of pointers is the one used throughout.
            unsafe { prep.payload.data[0] = payload.into_raw().cast_mut().cast() };
            COUNT.add(1, Relaxed);
            prep.quotalen = prep.datalen.min(QUOTA_MAX);
            0
        }
        Err(_) => ENOMEM.to_errno(),
    }
}

/// # Safety
///
/// The key service calls this, for keys of the type.
unsafe extern "C" fn free_preparse<T: Payload>(prep: *mut key_preparsed_payload) {
    // SAFETY: What is left in the structure is what preparse() put there.
    unsafe { drop_payload::<T>((*prep).payload.data[0]) }
}

/// # Safety
///
/// `payload` is null or came from `Arc::<T>::into_raw()`, and no reader can come to it any more.
unsafe fn drop_payload<T: Payload>(payload: *mut c_void) {
    if !payload.is_null() {
        // SAFETY: By the requirement.
        drop(unsafe { Arc::from_raw(payload.cast_const().cast::<T>()) });
        COUNT.add(-1, Relaxed);
    }
}

/// Replaces the payload, waits for readers, and drops the old one.
///
/// # Safety
///
/// `key` is of `T`'s type, its semaphore is held for writing or nobody else has it; `new` as
/// [`drop_payload`]'s.
unsafe fn replace<T: Payload>(key: *mut key, new: *mut c_void) {
    // SAFETY: By the requirement.
    unsafe {
        let old = bindings::tls_hs_key_swap_payload(key, new);
        if !old.is_null() {
            bindings::synchronize_rcu();
            drop_payload::<T>(old);
        }
    }
}

/// # Safety
///
/// The key service calls this, for keys of the type.
unsafe extern "C" fn update<T: Payload>(key: *mut key, prep: *mut key_preparsed_payload) -> c_int {
    // SAFETY: The key service holds the key's semaphore and passes what preparse() made.
    unsafe {
        let err = bindings::key_payload_reserve(key, (*prep).quotalen);
        if err != 0 {
            return err;
        }
        // Without this a key that has expired would stay so.
        bindings::tls_hs_key_set_expiry(key, (*prep).expiry);
        let new = ptr::replace(&raw mut (*prep).payload.data[0], ptr::null_mut());
        replace::<T>(key, new);
    }
    0
}

/// # Safety
///
/// The key service calls this, for keys of the type.
unsafe extern "C" fn clear<T: Payload>(key: *mut key) {
    // SAFETY: The key service holds the key's semaphore.
    unsafe {
        // Less can't be refused.
        bindings::key_payload_reserve(key, 0);
        replace::<T>(key, ptr::null_mut());
    }
}

/// # Safety
///
/// The key service calls this, for keys of the type.
unsafe extern "C" fn destroy<T: Payload>(key: *mut key) {
    // SAFETY: Nobody has the key any more, and the key service has waited for RCU.
    unsafe { drop_payload::<T>(bindings::tls_hs_key_swap_payload(key, ptr::null_mut())) }
}

/// # Safety
///
/// The key service calls this, for keys of the type.
unsafe extern "C" fn describe(key: *const key, m: *mut bindings::seq_file) {
    // SAFETY: The key service passes valid arguments; a description is a C string.
    unsafe { bindings::__seq_puts(m, bindings::tls_hs_key_description(key).cast::<c_char>()) }
}

/// A reference to a key of whatever type.
///
/// # Invariants
///
/// The pointer is valid, and we own a reference.
pub(crate) struct AnyKey(NonNull<key>);

// SAFETY: Keys are reference-counted and usable from any context.
unsafe impl Send for AnyKey {}
// SAFETY: As above.
unsafe impl Sync for AnyKey {}

impl Drop for AnyKey {
    fn drop(&mut self) {
        // SAFETY: By the invariants.
        unsafe { bindings::key_put(self.0.as_ptr()) }
    }
}

impl AnyKey {
    /// Looks a key up as the calling process may find it: it needs search permission.
    ///
    /// # Errors
    ///
    /// ENOKEY, EACCES, EKEYREVOKED, EKEYEXPIRED, EINVAL: what `lookup_user_key()` says.
    pub(crate) fn lookup(serial: i32) -> Result<Self> {
        Self::lookup_with(serial, 0)
    }

    /// As [`AnyKey::lookup`], without waiting for the key.
    ///
    /// # Errors
    ///
    /// Those of [`AnyKey::lookup`], EAGAIN for a key that is under construction.
    pub(crate) fn lookup_now(serial: i32) -> Result<Self> {
        let key = Self::lookup_with(serial, bindings::key_lookup_flag_KEY_LOOKUP_PARTIAL)?;
        // SAFETY: By the invariants.
        if unsafe { bindings::tls_hs_key_is_positive(key.0.as_ptr()) } {
            Ok(key)
        } else {
            Err(EAGAIN)
        }
    }

    fn lookup_with(serial: i32, flags: bindings::key_lookup_flag) -> Result<Self> {
        // SAFETY: Process context; any number may be asked for.
        let found = unsafe {
            bindings::lookup_user_key(
                serial,
                flags as usize,
                bindings::key_need_perm_KEY_NEED_SEARCH,
            )
        };
        let found = kernel::error::from_err_ptr(found.cast::<key>())?;
        // The low bit tells whether the caller possesses the key.
        let key = found.map_addr(|addr| addr & !1);
        // INVARIANT: lookup_user_key() gave us a reference.
        Ok(Self(NonNull::new(key).ok_or(ENOKEY)?))
    }

    /// Another reference to the key.
    pub(crate) fn get(&self) -> Self {
        // SAFETY: By the invariants.
        unsafe { bindings::tls_hs_key_get(self.0.as_ptr()) };
        // INVARIANT: Just taken.
        Self(self.0)
    }

    /// The key's number.
    pub(crate) fn serial(&self) -> i32 {
        // SAFETY: By the invariants; it does not change.
        unsafe { (*self.0.as_ptr()).serial }
    }

    fn type_is(&self, wanted: *const key_type) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::tls_hs_key_type(self.0.as_ptr()) == wanted }
    }

    /// The key as one of `T`'s type.
    pub(crate) fn of_type<T: Payload>(self) -> Result<Key<T>, Self> {
        if self.type_is(T::key_type().0.get()) {
            // INVARIANT: Just checked.
            Ok(Key(self, PhantomData))
        } else {
            Err(self)
        }
    }

    /// The key as a keyring.
    pub(crate) fn keyring(self) -> Result<Keyring, Self> {
        if self.type_is(&raw const bindings::key_type_keyring) {
            // INVARIANT: Just checked.
            Ok(Keyring(self))
        } else {
            Err(self)
        }
    }
}

/// A key that holds a `T`.
///
/// # Invariants
///
/// The key is of `T`'s type.
pub(crate) struct Key<T: Payload>(AnyKey, PhantomData<fn() -> T>);

impl<T: Payload> Key<T> {
    /// The key, whatever its type.
    pub(crate) fn any(&self) -> &AnyKey {
        &self.0
    }

    /// The key's number.
    pub(crate) fn serial(&self) -> i32 {
        self.0.serial()
    }

    /// What the key holds now; `None` once it is revoked, expired or invalidated. Any context.
    pub(crate) fn payload(&self) -> Option<Arc<T>> {
        let key = self.0 .0.as_ptr();
        // SAFETY: By the invariants; key_validate() only looks at flags and times.
        if unsafe { bindings::key_validate(key) } != 0 {
            return None;
        }
        let _guard = rcu::read_lock();
        // SAFETY: By the invariants.
        let payload = unsafe { bindings::tls_hs_key_payload(key) }.cast::<T>();
        if payload.is_null() {
            return None;
        }
        // SAFETY: Whoever replaces the payload waits for this read-side critical section before it
        // gives up the reference that the pointer stands for.
        Some(unsafe { ArcBorrow::from_raw(payload) }.into())
    }
}

/// A keyring.
///
/// # Invariants
///
/// The key is a keyring.
pub(crate) struct Keyring(AnyKey);

impl Keyring {
    /// The keyring's description, by which user space names it.
    pub(crate) fn name(&self) -> &[u8] {
        // SAFETY: By the invariants; a key's description does not change while it is referenced.
        unsafe {
            let name = bindings::tls_hs_key_description(self.0 .0.as_ptr());
            CStr::from_char_ptr(name.cast()).to_bytes()
        }
    }

    /// The keyring's number.
    pub(crate) fn serial(&self) -> i32 {
        self.0.serial()
    }

    /// The keyring as a key.
    pub(crate) fn any(&self) -> &AnyKey {
        &self.0
    }

    /// Another reference to the keyring.
    pub(crate) fn get(&self) -> Self {
        Self(self.0.get())
    }

    /// Copies the numbers of the keys linked to the keyring to `to`, and returns how many these
    /// are; `None` if the keyring is revoked, expired or invalidated, or has more than there is room
    /// for. Links that are made or removed meanwhile may be in it or not. Any context.
    pub(crate) fn links(&self, to: &mut [i32]) -> Option<usize> {
        let ring = self.0 .0.as_ptr();
        let room = to.len().saturating_mul(size_of::<i32>());
        // No key has the number 0.
        to.fill(0);
        let _guard = rcu::read_lock();
        // SAFETY: By the invariants. `read` of a keyring walks an array that is changed under RCU,
        // copies serial numbers to a kernel buffer, as many as fit, and returns how many bytes there
        // are; it does not sleep.
        unsafe {
            if bindings::key_validate(ring) != 0 {
                return None;
            }
            let read = (*bindings::tls_hs_key_type(ring)).read?;
            let bytes = usize::try_from(read(ring, to.as_mut_ptr().cast(), room)).ok()?;
            if bytes > room {
                return None;
            }
        }
        // What is returned are the links after the walk, fewer or more than it has met.
        Some(
            to.iter()
                .position(|&serial| serial == 0)
                .unwrap_or(to.len()),
        )
    }

    /// The numbers of the keys linked to the keyring. Process context.
    ///
    /// # Errors
    ///
    /// E2BIG for more than `most`, EKEYREVOKED, EKEYEXPIRED and ENOKEY for a keyring that is
    /// revoked, expired or invalidated.
    pub(crate) fn serials(&self, most: usize) -> Result<KVec<i32>> {
        let ring = self.0 .0.as_ptr();
        let mut serials = KVec::<i32>::new();
        // SAFETY: By the invariants. `read` of a keyring copies serial numbers to a kernel buffer,
        // as many as fit, and returns how many bytes there are.
        unsafe {
            let read = (*bindings::tls_hs_key_type(ring)).read.ok_or(EOPNOTSUPP)?;
            bindings::down_read(&raw mut (*ring).sem);
            let result = (|| {
                to_result(bindings::key_validate(ring))?;
                let bytes = read(ring, ptr::null_mut(), 0);
                to_result(bytes.min(0) as c_int)?;
                let count = bytes as usize / size_of::<i32>();
                if count > most {
                    return Err(E2BIG);
                }
                serials.resize(count, 0, GFP_KERNEL_ACCOUNT)?;
                let room = serials.len().saturating_mul(size_of::<i32>());
                let bytes = read(ring, serials.as_mut_ptr().cast(), room);
                to_result(bytes.min(0) as c_int)?;
                serials.truncate(bytes as usize / size_of::<i32>());
                Ok(())
            })();
            bindings::up_read(&raw mut (*ring).sem);
            result.map(|()| serials)
        }
    }
}

/// What a process may do, for work that is done for it later.
///
/// # Invariants
///
/// The pointer is valid, and we own a reference.
pub(crate) struct Credentials(NonNull<bindings::cred>);

// SAFETY: Credentials are reference-counted and not changed once a task has them.
unsafe impl Send for Credentials {}
// SAFETY: As above.
unsafe impl Sync for Credentials {}

impl Credentials {
    /// Those of the calling process. Process context.
    pub(crate) fn current() -> Result<Self> {
        // SAFETY: No requirement; the reference is ours.
        NonNull::new(unsafe { bindings::tls_hs_get_cred() }.cast_mut())
            .map(Self)
            .ok_or(ENOKEY.into())
    }

    /// Another reference to them.
    pub(crate) fn get(&self) -> Self {
        // SAFETY: By the invariants; the reference is the new value's.
        unsafe { bindings::tls_hs_hold_cred(self.0.as_ptr()) };
        Self(self.0)
    }

    /// Runs `work` with these credentials instead of the caller's. Process context.
    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        // SAFETY: By the invariants they stay until they are put back.
        let before = unsafe { bindings::tls_hs_override_creds(self.0.as_ptr()) };
        let result = work();
        // SAFETY: Those that were there.
        unsafe { bindings::tls_hs_revert_creds(before) };
        result
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        // SAFETY: By the invariants.
        unsafe { bindings::tls_hs_put_cred(self.0.as_ptr()) }
    }
}
