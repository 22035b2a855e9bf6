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

# The distinct values of a column of `il list`.
function __il_column
    set -l rows (il list --limit 100 2>/dev/null)
    test (count $rows) -gt 1; or return
    set -l at (contains -i -- $argv[1] (string split \t -- $rows[1])); or return
    for row in $rows[2..-1]
        string split -f $at \t -- $row
    end | sort -u
end

for il in il intentloop intent
    complete -c $il -f
@COMPLETE@
end
