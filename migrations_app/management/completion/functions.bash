# Completion of manage.py for bash and zsh. Made anew by: manage.py completion bash

# How manage.py was called, if that is what the line begins with: so it is asked what there is on the books.
_portal_ask() {
    "${COMP_WORDS[@]:0:$((start + 1))}" completion --list "$1" 2>/dev/null </dev/null | cut -f1
}

_portal() {
    local start=0 line='' option='' front='' place=1 word words i current="${COMP_WORDS[COMP_CWORD]}"
    COMPREPLY=()
    [[ ${COMP_WORDS[0]##*/} == python* ]] && start=1
    [[ ${COMP_WORDS[start]##*/} == manage.py ]] && ((COMP_CWORD > start)) || return 0
    for ((i = start + 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if [[ $word == '=' ]]; then
            continue # bash makes three words of --strategy=live
        elif [[ -n $option ]]; then
            option=''
        elif [[ $word == -* ]]; then
            _portal_words "$line $word" >/dev/null && option="$word"
        elif [[ -z $line ]]; then
            line="$word"
        elif _portal_words "$line $word -" >/dev/null; then
            line="$line $word" place=1
        else
            place=$((place + 1))
        fi
    done
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $current == --*=* ]]; then # zsh leaves it one word
        option="${current%%=*}" front="${current%%=*}=" current="${current#*=}"
    fi
    if [[ -n $option ]]; then
        words=$(_portal_words "$line $option")
    elif [[ -z $line ]]; then
        words=$(_portal_words '')
    elif [[ $current == -* ]]; then
        words=$(_portal_words "$line -")
    else
        words=$(_portal_words "$line $place")
    fi
    [[ $words == @* ]] && words=$(_portal_ask "${words#@}")
    COMPREPLY=($(compgen -P "$front" -W "$words" -- "$current"))
}

[[ -n $ZSH_VERSION ]] && autoload -U +X compinit bashcompinit && compinit -u && bashcompinit
complete -F _portal manage.py
# What is no manage.py gets file names, as without this.
complete -o default -F _portal python python3
