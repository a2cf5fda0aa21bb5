/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tile registers: asked for by the program, in one thread; another has the
 * permission and empty tiles.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/victim.h"

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA  18
#define TILES               8
#define ROWS                16
#define ROW_BYTES           64

struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

static volatile int go;

#define LOAD(n)  "tileloadd " #n "*1024(%0,%2,1), %%tmm" #n "\n"
#define STORE(n) "tilestored %%tmm" #n ", " #n "*1024(%1,%2,1)\n"
#define ALL(op)  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)

static void spin(const uint8_t *in, uint8_t *out)
{
	uint64_t stride = ROW_BYTES;

	__asm__ volatile(ALL(LOAD) "1: pause\n cmpl $0, (%3)\n je 1b\n" ALL(
				 STORE) "tilerelease\n"
			 :
			 : "r"(in), "r"(out), "r"(stride), "r"(&go)
			 : "memory", "cc");
}

static void *waiter(void *arg)
{
	victim_wait();
	go = 1;
	return arg;
}

int main(void)
{
	static uint8_t in[TILES * ROWS * ROW_BYTES], out[sizeof(in)];
	struct tile_config config = { .palette = 1 };
	pthread_t thread;

	if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA))
		victim_skip("this CPU or kernel has no AMX");
	for (int i = 0; i < TILES; i++) {
		config.row_bytes[i] = ROW_BYTES;
		config.rows[i] = ROWS;
	}
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 31 + i / 997);
	__asm__ volatile("ldtilecfg %0" : : "m"(config));
	victim_need(pthread_create(&thread, NULL, waiter, NULL) == 0, "thread");
	spin(in, out);
	pthread_join(thread, NULL);
	victim_check(memcmp(in, out, sizeof(in)) == 0,
		     "contents of tile registers");
	victim_verdict(true, "tiles are kept");
}
