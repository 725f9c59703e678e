// SPDX-License-Identifier: GPL-2.0
#include <linux/cred.h>
#include <linux/key.h>

#include "helpers.h"

void *tls_hs_key_payload(const struct key *key)
{
	return rcu_dereference_raw(key->payload.rcu_data0);
}

/* The key's semaphore is held for writing, or nobody else has the key. */
void *tls_hs_key_swap_payload(struct key *key, void *payload)
{
	void *old = rcu_dereference_protected(key->payload.rcu_data0, true);

	rcu_assign_pointer(key->payload.rcu_data0, payload);
	return old;
}

bool tls_hs_key_is_positive(const struct key *key)
{
	return key_is_positive(key);
}

/* The key's semaphore is held for writing. */
void tls_hs_key_set_expiry(struct key *key, time64_t expiry)
{
	WRITE_ONCE(key->expiry, expiry);
}

const char *tls_hs_key_description(const struct key *key)
{
	return key->description;
}

const struct key_type *tls_hs_key_type(const struct key *key)
{
	return key->type;
}

void tls_hs_key_get(struct key *key)
{
	key_get(key);
}

const struct cred *tls_hs_get_cred(void)
{
	return get_current_cred();
}

void tls_hs_hold_cred(const struct cred *cred)
{
	get_cred(cred);
}

void tls_hs_put_cred(const struct cred *cred)
{
	put_cred(cred);
}

const struct cred *tls_hs_override_creds(const struct cred *cred)
{
	return override_creds(cred);
}

void tls_hs_revert_creds(const struct cred *cred)
{
	revert_creds(cred);
}
