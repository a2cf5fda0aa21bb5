/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first instruction is the one that remote calls are made with; whatever
 * they leave in the registers, what follows is pause(2) for ever.
 */
#include "parasite/puppet.h"

	.text
	.globl	puppet_syscall
puppet_syscall:
	syscall
	.globl	_start
_start:
	mov	$34, %eax
	jmp	puppet_syscall

	.bss
	.globl	puppet_buffer
puppet_buffer:
	.skip	PUPPET_BUFFER_SIZE

	.section .note.GNU-stack, "", @progbits
