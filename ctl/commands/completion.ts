import { kinds } from '../../api/kinds/registry.ts'
import { defineCommand } from '../command.ts'
import { UserError } from '../output.ts'

/** Given the commands by the registry, which lists this one too. */
export function completionCommand(names: () => readonly string[]) {
  return defineCommand({
    name: 'completion',
    summary: 'Print a script that completes ctl in a shell: bash, zsh or fish',
    args: 'SHELL',
    flags: {},
    examples: ['source <(ctl completion bash)'],
    run({ args }, { out }) {
      const script = scripts[args[0] ?? '']
      if (script === undefined) throw new UserError(`error: unsupported shell "${args[0] ?? ''}": give bash, zsh or fish`)
      const firsts = [...new Set(names().map((name) => name.split(' ')[0] ?? ''))]
      const seconds = names().flatMap((name) => name.split(' ').slice(1))
      out.write(script(firsts.join(' '), seconds.join(' '), kinds.map(({ plural }) => plural).join(' ')))
      return Promise.resolve(0)
    },
  })
}

type Script = (commands: string, rollouts: string, types: string) => string

/** Words come from ctl itself; names of objects are asked for as one types. */
const bash: Script = (commands, rollouts, types) => `_ctl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} first=\${COMP_WORDS[1]} second=\${COMP_WORDS[2]}
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${commands}" -- "$cur")); return; fi
  case "$first" in
    rollout)
      if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "${rollouts}" -- "$cur"))
      else COMPREPLY=($(compgen -W "$(ctl get deployments -o name 2>/dev/null | sed 's/\\.apps//')" -- "$cur")); fi ;;
    logs|exec) COMPREPLY=($(compgen -W "$(ctl get pods -o name 2>/dev/null | sed 's#^pod/##')" -- "$cur")) ;;
    get|describe|delete|scale|explain)
      if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "${types}" -- "$cur"))
      else COMPREPLY=($(compgen -W "$(ctl get "$second" -o name 2>/dev/null | sed 's#^[^/]*/##')" -- "$cur")); fi ;;
    apply) compopt -o default; COMPREPLY=() ;;
  esac
}
complete -F _ctl ctl
`
const zsh: Script = (...words) => `autoload -U +X bashcompinit && bashcompinit\n${bash(...words)}`
const fish: Script = (commands, rollouts, types) => `complete -c ctl -f
complete -c ctl -n '__fish_use_subcommand' -a '${commands}'
complete -c ctl -n '__fish_seen_subcommand_from rollout' -a '${rollouts}'
complete -c ctl -n '__fish_seen_subcommand_from get describe delete scale explain' -a '${types}'
complete -c ctl -n '__fish_seen_subcommand_from logs exec' -a '(ctl get pods -o name 2>/dev/null | string replace pod/ "")'
`
const scripts: Readonly<Record<string, Script>> = { bash, zsh, fish }
