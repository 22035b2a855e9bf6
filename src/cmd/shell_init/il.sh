# Functions that record agents, for bash and zsh. To use them: source <(il shell-init bash)

# Runs a program and records it, as long as il is there.
_il_record() {
    if command -v il >/dev/null; then
        command il@HOME@ run "$@"
    else
        command "$@"
    fi
}

# An agent that is not installed gets no function: its name stays one that the shell does not know.
for _il_agent in @AGENTS@; do
    if @FIND@ "$_il_agent" >/dev/null; then
        eval "function $_il_agent { _il_record $_il_agent \"\$@\"; }"
    fi
done
unset _il_agent
