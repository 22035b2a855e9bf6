#compdef il intentloop intent
# zsh completion for il. To use it: source <(il completion zsh)

# The distinct values of a column of `il list`.
_il_column() {
    local -a rows names cells values
    local row
    rows=("${(@f)$(il list --limit 100 2>/dev/null)}")
    names=("${(@ps:\t:)rows[1]}")
    integer at=${names[(Ie)$1]}
    (( at )) || return 1
    for row in "${(@)rows[2,-1]}"; do
        cells=("${(@ps:\t:)row}")
        values+=("${cells[at]}")
    done
    compadd -- "${(@u)values}"
}

_il_sessions() { _il_column ID }

_il_projects() { _il_column PROJECT }

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
