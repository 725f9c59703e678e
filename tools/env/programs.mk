# SPDX-License-Identifier: GPL-2.0
#
# The C programs: what users run (tools) and what VM tests run (tests/vm). Runs in
# the build root:  make -f tools/env/programs.mk O=DIR
#
#	tools/NAME/*.c	-> $O/bin/tls_hs_NAME
#	tools/NAME.c	-> $O/bin/NAME
#	tests/vm/NAME.c	-> $O/tests/NAME

CC	:= gcc-14
CFLAGS	:= -O2 -g -Wall -Wextra -I$O/include -Isrc/uapi
LDFLAGS	:= -Wl,--as-needed
LDLIBS	:= -lssl -lcrypto -lkeyutils -luring -lpthread

HEADER	:= $O/include/linux/tls_hs.h
dirs	:= $(filter-out tools/env,$(patsubst %/,%,$(sort $(dir $(wildcard tools/*/*.c)))))
tools	:= $(dirs:tools/%=$O/bin/tls_hs_%) $(patsubst tools/%.c,$O/bin/%,$(wildcard tools/*.c))
tests	:= $(patsubst tests/vm/%.c,$O/tests/%,$(wildcard tests/vm/*.c))

.PHONY: all tools
all: tools $(tests)
tools: $(tools) $(HEADER)

$(HEADER): src/uapi/tls_hs.h
	install -D -m 644 $< $@

.SECONDEXPANSION:
$O/bin/tls_hs_%: $$(wildcard tools/%/*.[ch]) $(HEADER)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(LDLIBS)

$O/bin/%: tools/%.c $(HEADER)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)

$O/tests/%: tests/vm/%.c $(wildcard tests/vm/*.h) $(HEADER)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)
