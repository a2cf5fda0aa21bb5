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
/*
 * Calls of a table: rbx points to it, r12 says how many, r13 where to say
 * that it is over.  The first failure ends it.
 */
	.org	puppet_syscall + PUPPET_BATCH - PUPPET_SYSCALL, 0xcc
	.globl	puppet_batch
puppet_batch:
	mov	(%rbx), %rax
	mov	8(%rbx), %rdi
	mov	16(%rbx), %rsi
	mov	24(%rbx), %rdx
	mov	32(%rbx), %r10
	mov	40(%rbx), %r8
	mov	48(%rbx), %r9
	syscall
	mov	%rax, 56(%rbx)
	cmp	$-4095, %rax
	jae	1f
	add	$64, %rbx
	dec	%r12
	jnz	puppet_batch
1:	movq	$1, (%r13)
	jmp	_start
	.org	puppet_syscall + PUPPET_CODE_SIZE, 0xcc

	.bss
	.globl	puppet_buffer
puppet_buffer:
	.skip	PUPPET_BUFFER_SIZE

	.section .note.GNU-stack, "", @progbits
