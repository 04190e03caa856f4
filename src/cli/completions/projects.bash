
# The first argument of these commands is a project.
_windlass_with_projects() {
    _windlass "$@"
    local word=${COMP_WORDS[COMP_CWORD]}
    case $COMP_CWORD,${COMP_WORDS[1]},$word in
        2,*,-*) ;;
        2,cancel,* | 2,deploy,* | 2,diff,* | 2,follow,* | 2,freeze,* | 2,logs,* | 2,plan,* | 2,refused,* | 2,rollback,* | 2,status,* | 2,unfreeze,*)
            mapfile -t COMPREPLY < <(compgen -W "$(windlass names 2>/dev/null)" -- "$word")
            ;;
    esac
}
complete -F _windlass_with_projects -o nosort -o bashdefault -o default windlass
