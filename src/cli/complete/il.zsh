#compdef il intentloop intent
# zsh completion for il. To use it: source <(il completion zsh)

# Words of a kind that are in the store, each with what it stands for.
_il_store() {
    local -a rows words described
    local row
    rows=("${(@f)$(il completion $1 2>/dev/null)}")
    for row in "${(@)rows:#}"; do
        words+=("${row%%$'\t'*}")
        described+=("${row/$'\t'/  }")
    done
    compadd -l -d described -- "${(@)words}"
}

_il_commands() {
    local -a commands
    commands=(
@COMMANDS@
    )
    _describe -t commands 'il command' commands
}

_il() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C -S \
@GLOBAL@
        '(-)1:COMMAND:_il_commands' \
        '(-)*::ARG:->arguments' && return
    [[ $state == arguments ]] || return 1
    case $words[1] in
@ARGUMENTS@
    esac
}

if [[ $funcstack[1] == _il ]]; then
    _il "$@"
else
    compdef _il il intentloop intent
fi
