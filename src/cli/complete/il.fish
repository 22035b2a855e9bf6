# fish completion for il. To use it: il completion fish | source

# The options that take a value, each with its command; those of il itself stand alone.
set -g __il_valued @VALUED@

# Prints the command typed so far, if any, then its operands, one a line.
function __il_typed
    set -l words (commandline -opc)
    set -l command
    set -l operands
    set -l value
    set -l ended
    for word in $words[2..-1]
        if test -n "$value"
            set value
        else if test -z "$ended"; and test "$word" = --
            set ended 1
        else if test -z "$ended$operands"; and string match -q -- '-?*' $word
            if contains -- "$command $word" $__il_valued
                set value 1
            end
        else if test -z "$command"
            set command $word
        else
            set -a operands $word
            if contains -- $command @REST@
                set ended 1
            end
        end
    end
    test -n "$command"; and printf '%s\n' $command $operands
end

# Whether no command is typed yet.
function __il_bare
    test -z "$(__il_typed)"
end

# Whether the cursor is where this command's options go.
function __il_in
    set -l typed (__il_typed)
    test "$typed[1]" = $argv[1]; or return 1
    not contains -- $argv[1] @REST@; or test (count $typed) -eq 1
end

# Whether the cursor is at this command's operand of this number; `+` after it: or a later one.
function __il_at
    set -l typed (__il_typed)
    test "$typed[1]" = $argv[1]; or return 1
    test (count $typed) -eq $argv[2]; and return
    test "$argv[3]" = +; and test (count $typed) -gt $argv[2]
end

# Completes the command that il is to run.
function __il_rest
    set -l typed (__il_typed)
    complete -C (string join ' ' -- (string escape -- $typed[2..-1]) (commandline -ct))
end

# Words of a kind that are in the store, each with what it stands for.
function __il_store
    il completion $argv[1] 2>/dev/null
end

for il in il intentloop intent
    complete -c $il -f
@COMPLETE@
end
