# bash completion for il. To use it: source <(il completion bash)

_il_commands='@COMMANDS@'

# The options of a command; those of il itself if it is empty.
_il_options() {
    case $1 in
@OPTIONS@
    esac
}

# What completes the value of an option; fails for a switch.
_il_value() {
    case "$1 $2" in
@VALUES@
    *) return 1 ;;
    esac
}

# What completes a command's operand of this number, from 1.
_il_operand() {
    case "$1 $2" in
@OPERANDS@
    *) echo none ;;
    esac
}

# Words of a kind that are in the store. They are data: nothing may expand them.
_il_store() {
    il completion "$1" 2>/dev/null | cut -f 1
}

# Takes from its input the lines that go on from what is typed.
_il_offer() {
    local word
    while IFS= read -r word; do
        [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done
}

_il_complete() {
    case $1 in
    file) compopt -o filenames 2>/dev/null; _il_offer_paths -f ;;
    dir) compopt -o filenames 2>/dev/null; _il_offer_paths -d ;;
    program) _il_offer_paths -c ;;
    store) _il_offer < <(_il_store "$2") ;;
    command) _il_offer < <(printf '%s\n' $_il_commands) ;;
    choice) shift; _il_offer < <(printf '%s\n' "$@") ;;
    esac
}

_il_offer_paths() {
    local word
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$1" -- "$cur")
}

_il() {
    local cur=${COMP_WORDS[COMP_CWORD]} command='' option='' ended='' word
    local -i i count=0
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $option ]]; then
            # bash takes --option=value for three words.
            [[ $word == = ]] || option=''
        elif [[ -z $ended && $word == -- ]]; then
            ended=1
        elif [[ -z $ended && $word == -?* ]]; then
            _il_value "$command" "$word" >/dev/null && option=$word
        elif [[ -z $command ]]; then
            command=$word
        else
            count+=1
            case $command in
            @REST@)
                if declare -F _comp_command_offset >/dev/null; then
                    _comp_command_offset "$i"
                elif declare -F _command_offset >/dev/null; then
                    _command_offset "$i"
                else
                    _il_complete file
                fi
                return
                ;;
            esac
        fi
    done
    [[ $cur == = ]] && cur=''
    if [[ -n $option ]]; then
        _il_complete $(_il_value "$command" "$option")
    elif [[ -z $ended && $cur == -* ]]; then
        _il_offer < <(printf '%s\n' $(_il_options "$command"))
    elif [[ -z $command ]]; then
        _il_complete command
    else
        _il_complete $(_il_operand "$command" $((count + 1)))
    fi
}

complete -F _il il intentloop intent
