# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What a kernel log must not hold. Used in the VM after each test and on the host
# for what the VM said last.

HS_SPLAT='\bWARNING\b|\bBUG\b|\bOops\b|KASAN|KCSAN|KFENCE|UBSAN|Call Trace|Kernel panic|kernel BUG'
HS_SPLAT+='|general protection fault|unable to handle|double fault|stack guard|stack-protector'
HS_SPLAT+='|possible (circular|recursive|irq)|inconsistent lock|lock held when|locks? still held|suspicious RCU'
HS_SPLAT+='|detected (expedited )?stalls?|kthread starved|(soft|hard) lockup|hung_task|blocked for more than'
HS_SPLAT+='|sleeping function called|scheduling while atomic|bad page|refcount_t:'
HS_SPLAT+='|list_(add|del) corruption|Objects remaining|unreferenced object|use-after-free|[Rr]edzone|Poison overwritten'
HS_SPLAT+='|Unknown symbol|unregister_netdevice: waiting'

# The log without KCSAN's reports of races in which this repository's modules have no part:
# stock has many, which are known. Reports begin and end with a line of "=".
without_stock_races() {
	awk '
		/====================/ {
			report = report $0 "\n"
			if (inside) {
				if (report ~ /\[tls_hs/ || report !~ /BUG: KCSAN/) printf "%s", report
				report = ""
			}
			inside = !inside
			next
		}
		inside { report = report $0 "\n"; next }
		{ print }
		END { printf "%s", report }'
}

# splats [ALLOWED-REGEX]: the lines of standard input that are splats; fails if none is
splats() {
	without_stock_races | if [ -n "${1:-}" ]; then
		grep -vE -- "$1"
	else
		cat
	fi | grep -aE -- "$HS_SPLAT"
}
