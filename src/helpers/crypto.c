// SPDX-License-Identifier: GPL-2.0
#include <linux/string.h>
#include <crypto/sha2.h>
#include <crypto/utils.h>

#include "helpers.h"

void tls_hs_sha256_update(struct sha256_ctx *ctx, const u8 *data, size_t len)
{
	sha256_update(ctx, data, len);
}

void tls_hs_sha384_update(struct sha384_ctx *ctx, const u8 *data, size_t len)
{
	sha384_update(ctx, data, len);
}

void tls_hs_hmac_sha256_init(struct hmac_sha256_ctx *ctx, const struct hmac_sha256_key *key)
{
	hmac_sha256_init(ctx, key);
}

void tls_hs_hmac_sha384_init(struct hmac_sha384_ctx *ctx, const struct hmac_sha384_key *key)
{
	hmac_sha384_init(ctx, key);
}

void tls_hs_hmac_sha256_update(struct hmac_sha256_ctx *ctx, const u8 *data, size_t len)
{
	hmac_sha256_update(ctx, data, len);
}

void tls_hs_hmac_sha384_update(struct hmac_sha384_ctx *ctx, const u8 *data, size_t len)
{
	hmac_sha384_update(ctx, data, len);
}

bool tls_hs_has_bmi2_adx(void)
{
#ifdef CONFIG_X86_64
	return boot_cpu_has(X86_FEATURE_BMI2) && boot_cpu_has(X86_FEATURE_ADX);
#else
	return false;
#endif
}

void tls_hs_wipe(void *data, size_t len)
{
	memzero_explicit(data, len);
}

/* In constant time. */
bool tls_hs_equal(const u8 *a, const u8 *b, size_t len)
{
	return !crypto_memneq(a, b, len);
}

#if __has_include(<crypto/aes-gcm.h>)
int tls_hs_gcm_setkey(struct tls_hs_gcm *gcm, const u8 *key, size_t len)
{
	return aes_gcm_preparekey(&gcm->key, key, len, 16);
}

void tls_hs_gcm_seal(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, u8 *tag)
{
	aes_gcm_encrypt(data, data, len, tag, aad, aad_len, nonce, &gcm->key);
}

bool tls_hs_gcm_open(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, const u8 *tag)
{
	return !aes_gcm_decrypt(data, data, len, tag, aad, aad_len, nonce, &gcm->key);
}
#else
int tls_hs_gcm_setkey(struct tls_hs_gcm *gcm, const u8 *key, size_t len)
{
	return aesgcm_expandkey(&gcm->key, key, len, 16);
}

void tls_hs_gcm_seal(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, u8 *tag)
{
	aesgcm_encrypt(&gcm->key, data, data, len, aad, aad_len, nonce, tag);
}

bool tls_hs_gcm_open(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, const u8 *tag)
{
	return aesgcm_decrypt(&gcm->key, data, data, len, aad, aad_len, nonce, tag);
}
#endif
