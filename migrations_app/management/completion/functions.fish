# Completion of manage.py for fish. Made anew by: manage.py completion fish

function __portal_start --description 'Where manage.py stands in the line, from 1; fails if it is another program'
    set -l called (commandline -opc)
    set -l start 1
    string match -q 'python*' -- (basename -- $called[1]); and set start 2
    test (count $called) -ge $start; and test (basename -- $called[$start]) = manage.py; and echo $start
end

function __portal
    set -l start (__portal_start); or return
    set -l called (commandline -opc)
    set -l current (commandline -ct)
    set -l line ''
    set -l option ''
    set -l place 1
    for word in $called[(math $start + 1)..-1]
        test (count $called) -gt $start; or break
        if test -n "$option"
            set option ''
        else if string match -q -- '-*' $word
            __portal_words "$line $word" >/dev/null; and set option $word
        else if test -z "$line"
            set line $word
        else if __portal_words "$line $word -" >/dev/null
            set line "$line $word"
            set place 1
        else
            set place (math $place + 1)
        end
    end
    # --strategy=live is one word here, and is completed as one.
    set -l front ''
    if string match -q -- '--*=*' $current
        set option (string split -m 1 = -- $current)[1]
        set front "$option="
    end
    set -l words
    if test -n "$option"
        set words (__portal_words "$line $option")
    else if test -z "$line"
        set words (__portal_words '')
    else if string match -q -- '-*' $current
        set words (__portal_words "$line -")
    else
        set words (__portal_words "$line $place")
    end
    if string match -q '@*' -- $words
        set words ($called[1..$start] completion --list (string sub -s 2 -- $words) 2>/dev/null </dev/null)
        printf '%s\n' $front$words
    else
        test -n "$words"; and printf '%s\n' $front(string split ' ' -- $words)
    end
end

complete -c manage.py -f -a '(__portal)'
complete -c python -n __portal_start -f -a '(__portal)'
complete -c python3 -n __portal_start -f -a '(__portal)'
