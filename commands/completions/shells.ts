import type { Branch } from "./tree.ts";

/** The shells that completions are written for, each from every branch of the tree. */
export const shells: Readonly<Record<string, (branches: Branch[]) => string>> = { bash, zsh, fish };

/** One `case` over the words before the one that is typed; a flag with few values offers those. */
function bash(branches: Branch[]): string {
  const cases = branches.map(
    ({ path, commands, flags }) =>
      `    ${JSON.stringify(path.join(" "))}) words="${[...commands, ...flags].join(" ")}" ;;`,
  );
  const values = Object.entries(Object.assign({}, ...branches.map(({ choices }) => choices)) as Branch["choices"]);
  return `# meshmac: source <(meshmac completions bash)
_meshmac() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in -*) break ;; *) path+=\${path:+ }\${COMP_WORDS[i]} ;; esac
  done
  case $before in
${values.map(([flag, words]) => `    ${flag}) COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word")); return ;;`).join("\n")}
    --config|--file|--fixtures|--junit) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case $path in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _meshmac meshmac
`;
}

function zsh(branches: Branch[]): string {
  return `#compdef meshmac
# meshmac: source <(meshmac completions zsh)
autoload -U +X bashcompinit && bashcompinit
${bash(branches).split("\n").slice(1).join("\n")}`;
}

function fish(branches: Branch[]): string {
  const lines = branches.flatMap(({ path, commands, flags, choices }) => {
    const here = `__meshmac_at ${JSON.stringify(path.join(" "))}`;
    return [
      ...commands.map((name) => `complete -c meshmac -f -n '${here}' -a ${name}`),
      ...flags.map((flag) => {
        const values = choices[flag];
        return `complete -c meshmac -n '${here}' -l ${flag.slice(2)}${values ? ` -x -a '${values.join(" ")}'` : ""}`;
      }),
    ];
  });
  return `# meshmac: meshmac completions fish | source
function __meshmac_at
    set -l words (commandline -opc)
    set -l path
    for word in $words[2..-1]
        string match -q -- '-*' $word; and break
        set path $path $word
    end
    test "$path" = "$argv[1]"
end
${lines.join("\n")}
`;
}
