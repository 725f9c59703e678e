// SPDX-License-Identifier: GPL-2.0
/*
 * Records in flight as net/tls/tls_device.c of Linux 7.3 keeps them: a linked list of
 * structures of the same size, a hint at the last record that was found, and the number
 * of the first record. Locks are left out, as they are for the map.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* MAX_SKB_FRAGS, and the size of skb_frag_t */
#define FRAGS 17
#define FRAG_SIZE 16

struct link {
	struct link *next, *prev;
};

struct record {
	struct link link;
	uint32_t end_seq;
	int len;
	int num_frags;
	uint8_t frags[FRAGS][FRAG_SIZE] __attribute__((aligned(8)));
};

struct list {
	struct link head;
	struct record *hint;
	uint64_t hint_number;
	uint64_t first_number;
};

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static struct record *entry(struct link *link)
{
	return (struct record *)((char *)link - offsetof(struct record, link));
}

static uint32_t start_of(const struct record *record)
{
	return record->end_seq - record->len;
}

struct list *list_new(uint64_t first_number)
{
	struct list *list = malloc(sizeof(*list));

	if (!list)
		abort();
	list->head.next = &list->head;
	list->head.prev = &list->head;
	list->hint = NULL;
	list->hint_number = 0;
	list->first_number = first_number;
	return list;
}

/* tls_create_new_record() and the head of tls_push_record() */
void list_insert(struct list *list, uint32_t start, int len)
{
	struct record *record = malloc(sizeof(*record));

	if (!record)
		abort();
	record->num_frags = 1;
	record->len = len;
	record->end_seq = start + len;
	record->link.next = &list->head;
	record->link.prev = list->head.prev;
	list->head.prev->next = &record->link;
	list->head.prev = &record->link;
}

/* tls_tcp_clean_acked() */
void list_acknowledge(struct list *list, uint32_t seq)
{
	struct link *link = list->head.next, *next;

	if (list->hint && !before(seq, list->hint->end_seq))
		list->hint = NULL;
	for (; link != &list->head; link = next) {
		struct record *record = entry(link);

		if (before(seq, record->end_seq))
			break;
		next = link->next;
		next->prev = link->prev;
		link->prev->next = next;
		free(record);
		list->first_number++;
	}
}

/* As after the acknowledgement of the record that was found last */
void list_forget_hint(struct list *list)
{
	list->hint = NULL;
}

void list_free(struct list *list)
{
	if (list->head.prev != &list->head)
		list_acknowledge(list, entry(list->head.prev)->end_seq);
	free(list);
}

/* tls_get_record(): returns whether there is one */
bool list_lookup(struct list *list, uint32_t seq, uint32_t *start, uint64_t *number)
{
	struct record *record = list->hint;
	uint64_t count = list->hint_number;

	if (!record || before(seq, start_of(record))) {
		struct record *last;

		if (list->head.next == &list->head)
			return false;
		record = entry(list->head.next);
		last = entry(list->head.prev);
		if (last->end_seq - start_of(record) < seq - start_of(record))
			return false;
		count = list->first_number;
	}
	for (; &record->link != &list->head; record = entry(record->link.next)) {
		if (before(seq, record->end_seq)) {
			if (!list->hint || before(list->hint->end_seq, record->end_seq)) {
				list->hint_number = count;
				list->hint = record;
			}
			*start = start_of(record);
			*number = count;
			return true;
		}
		count++;
	}
	return false;
}
