# Functions that record agents, for fish. To use them: il shell-init fish | source

# Runs a program and records it, as long as il is there.
function __il_record
    if command -q il
        command il@HOME@ run $argv
    else
        command $argv
    end
end

# An agent that is not installed gets no function: its name stays one that the shell does not know.
for agent in @AGENTS@
    if command -q $agent
        function $agent --inherit-variable agent
            __il_record $agent $argv
        end
    end
end
