# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of jobcr(1) for bash: commands, their options, ids of jobs.

_jobcr_jobs() {
	jobcr list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# The words that may stand behind a command.
_jobcr_options() {
	case $1 in
	run) echo "--detach --pty --detach-key --output --name --interval --isa --files --ipc" ;;
	attach) echo "--read-only --steal --detach-key" ;;
	list) echo "--json" ;;
	status) echo "--watch --json" ;;
	history) echo "--json" ;;
	delete) echo "--generation --force" ;;
	keep) echo "--off" ;;
	checkpoint) echo "--allow-uprobes --leave-running --kill --json --pid --dir" ;;
	restore) echo "--files --map --allow-uprobes --generation --detach --detach-key --dir --json" ;;
	show) echo "--records --json --dir" ;;
	verify) echo "--dir --seal" ;;
	diff) echo "--json" ;;
	export) echo "--output --force --dir" ;;
	import) echo "--user --as" ;;
	core) echo "--output --force --dir" ;;
	check) echo "--json" ;;
	features) echo "--json" ;;
	drain) echo "--deadline --reason --dry-run --hold --json" ;;
	esac
}

_jobcr() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command= i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--config | --node | --host) ((i++)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $prev in
	--config | --output | -o | --dir)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--ipc)
		mapfile -t COMPREPLY < <(compgen -W "private host" -- "$cur")
		return
		;;
	--isa)
		mapfile -t COMPREPLY < <(compgen -W \
			"x86-64-v2 x86-64-v3 x86-64-v4" -- "$cur")
		return
		;;
	--files)
		mapfile -t COMPREPLY < <(compgen -W \
			"rollback keep refuse" -- "$cur")
		return
		;;
	--records)
		mapfile -t COMPREPLY < <(compgen -W "all $(_jobcr_jobs)" -- "$cur")
		return
		;;
	--user)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	--node | --host | --name | --generation | --pid | --as | \
		--deadline | --reason | --detach-key)
		return
		;;
	esac
	if [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W "--config --node --host \
			--help --version run attach wait kill list status history \
			checkpoint restore show verify diff core export import keep delete \
			drain undrain \
			check features" -- "$cur")
		return
	fi
	case $cur in
	-*)
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_jobcr_options "$command")" -- "$cur")
		return
		;;
	esac
	case $command in
	attach | wait | kill | status | history | keep | delete | checkpoint | restore | \
		show | verify | diff | core | export | check)
		mapfile -t COMPREPLY < <(compgen -W "$(_jobcr_jobs)" -- "$cur")
		;;
	import)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	run)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		;;
	esac
}

complete -F _jobcr jobcr
