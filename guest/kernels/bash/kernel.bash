# The Bash kernel: what this shell reads from descriptor 0 are requests that the agent has written for it, and it answers
# on descriptor 4 (guest/kernels/python/kernel.py has the answers). It is interactive, so that an interrupt, an unset
# variable under `set -u` and `${x:?}` end a run and not the shell.
PS1= PS2= PS4='+ '
unset PROMPT_COMMAND HISTFILE
set +o history +o histexpand +o monitor -o errtrace
__cofferdam_shell=$BASHPID
__cofferdam_run=${BASH_SOURCE[0]%/*}/run.bash
__cofferdam_code=
__cofferdam_status=0
__cofferdam_options=
declare -A __cofferdam_before=()
__cofferdam_names=()

# __cofferdam_begin COUNT [NAME VALUE]...: puts these variables into the environment for one run.
__cofferdam_begin() {
	local count=$1
	shift
	__cofferdam_names=()
	__cofferdam_before=()
	while ((count-- > 0)); do
		__cofferdam_names+=("$1")
		[[ -v $1 ]] && __cofferdam_before[$1]=$(declare -p "$1")
		export "$1=$2"
		shift 2
	done
	trap '__cofferdam_failed "$?" "${BASH_SOURCE+${#BASH_SOURCE[@]}}" || return "$__cofferdam_stopped"' ERR
}

# __cofferdam_resume: what the last run has left to this one: `set -e`, or `$?`.
__cofferdam_resume() {
	if [[ $__cofferdam_options == *e* ]]; then
		set -e
		return 0
	fi
	return "$__cofferdam_status"
}

# __cofferdam_failed STATUS DEPTH: whether a failure goes on; under `set -e` it leaves one function or file after the other,
# and so the run and not the shell.
__cofferdam_failed() {
	[[ $- == *e* && $BASHPID == "$__cofferdam_shell" ]] || return 0
	__cofferdam_stopped=$1
	if ((${2:-0} <= 1)); then
		set +e
		__cofferdam_options=e
	fi
	return 1
}

# __cofferdam_end STATUS: undoes what the run's environment has set, and answers.
__cofferdam_end() {
	__cofferdam_status=${__cofferdam_stopped:-$1}
	if [[ -z ${__cofferdam_stopped-} ]]; then __cofferdam_options=$-; fi
	unset __cofferdam_stopped
	set +e
	trap - ERR
	local name
	for name in "${__cofferdam_names[@]}"; do
		unset "$name"
		[[ -n ${__cofferdam_before[$name]-} ]] && eval "${__cofferdam_before[$name]/#declare /declare -g }"
	done
	__cofferdam_names=()
	PS1= PS2=
	unset PROMPT_COMMAND
	if ((__cofferdam_status != 0)); then
		local value="exit status $__cofferdam_status"
		((__cofferdam_status > 128)) && value+=" ($(kill -l "$__cofferdam_status" 2>/dev/null))"
		printf 'E{"name":"Error","value":"%s","traceback":"%s"}\n' "$value" "$value" >&4
	fi
	printf '.{}\n' >&4
} 2>/dev/null

printf '={"version":"%s"}\n' "$BASH_VERSION" >&4
