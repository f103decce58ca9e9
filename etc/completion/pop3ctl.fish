# fish completion for pop3ctl(8), which says what may stand there

function __pop3ctl_complete
	set -l words (commandline -opc)
	set -l current (commandline -ct)

	$words[1] complete $words[2..-1] "$current" 2>/dev/null
	or __fish_complete_path "$current"
end

complete -c pop3ctl -f -a '(__pop3ctl_complete)'
