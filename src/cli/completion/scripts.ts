import type { CommandNode, Described } from "./command-tree.ts";

/** A script that bash reads once: nothing is started when somebody presses Tab. */
export function bashScript(tree: readonly CommandNode[]): string {
  return `# Completion of millrace for bash. For this shell: source <(millrace completion bash)
_millrace() {
  local current="\${COMP_WORDS[COMP_CWORD]}" verb="" next="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${verb:+$verb }\${COMP_WORDS[i]}"
    case "$next" in
      ${paths(tree).map(quoted).join(" | ")}) verb="$next" ;;
    esac
  done
  case "$verb \${COMP_WORDS[COMP_CWORD - 1]}" in
${valueCases(tree)
  .map(({ at, choices }) => `    ${at.map(quoted).join(" | ")}) words=${quoted(choices.join(" "))} ;;\n`)
  .join("")}    *)
      case "$verb" in
${tree.map((node) => `        ${quoted(node.path)}) words=${quoted(wordsOf(node).join(" "))} ;;\n`).join("")}      esac
      # Options only for those who begin one, as long as there are commands.
      if [[ "$current" != -* && "$words" == *" | "* ]]; then words="\${words%% | *}"; fi
      ;;
  esac
  COMPREPLY=()
  # Without words of ours, files: see -o default.
  if [[ -n "$words" ]]; then
    while IFS= read -r next; do COMPREPLY+=("$next"); done < <(compgen -W "\${words/ | / }" -- "$current")
  fi
}
complete -o default -F _millrace millrace
`;
}

/** A file for a folder of zsh's $fpath, named _millrace; or read at once. */
export function zshScript(tree: readonly CommandNode[]): string {
  return `#compdef millrace
# Completion of millrace for zsh. For this shell: source <(millrace completion zsh)
_millrace() {
  local verb="" next="" i
  local -a verbs flags
  for ((i = 2; i < CURRENT; i++)); do
    next="\${verb:+$verb }\${words[i]}"
    case "$next" in
      (${paths(tree).map(quoted).join("|")}) verb="$next" ;;
    esac
  done
  case "$verb \${words[CURRENT - 1]}" in
${valueCases(tree)
  .map(
    ({ at, choices }) =>
      `    (${at.map(quoted).join("|")}) ${choices.length === 0 ? "_files" : `compadd -- ${choices.map(quoted).join(" ")}`}; return ;;\n`,
  )
  .join("")}  esac
  case "$verb" in
${tree.map((node) => `    (${quoted(node.path)})\n${zshList("verbs", node.commands)}${zshList("flags", node.options)}      ;;\n`).join("")}  esac
  if [[ "$PREFIX" != -* && \${#verbs} -gt 0 ]]; then
    _describe command verbs
  elif [[ "$PREFIX" == -* ]]; then
    _describe option flags
  else
    _describe option flags
    _files
  fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then
  _millrace "$@"
else
  compdef _millrace millrace
fi
`;
}

/** A file for ~/.config/fish/completions, named millrace.fish; or read at once. */
export function fishScript(tree: readonly CommandNode[]): string {
  const lines = tree.flatMap(({ path, commands, options }) => {
    const at = `complete -c millrace -n ${fishQuoted(`__millrace_at ${fishQuoted(path)}`)}`;
    return [
      // Where a command must follow, no file can.
      ...(commands.length > 0 ? [`${at} -f`] : []),
      ...commands.map(({ name, doc }) => `${at} -a ${fishQuoted(name)} -d ${fishQuoted(doc)}`),
      ...options.map(({ names, doc, choices, takesValue }) => {
        const named = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(" ");
        const value = choices !== undefined ? ` -x -a ${fishQuoted(choices.join(" "))}` : takesValue ? " -r" : "";
        return `${at} ${named}${value} -d ${fishQuoted(doc)}`;
      }),
    ];
  });
  return `# Completion of millrace for fish. For this shell: millrace completion fish | source
function __millrace_at
  set -l verb ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$verb $word")
    if contains -- "$next" ${paths(tree).map(fishQuoted).join(" ")}
      set verb "$next"
    end
  end
  test "$verb" = "$argv[1]"
end
${lines.join("\n")}
`;
}

/** For fish, whose backslash escapes inside of single quotes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function zshList(name: string, list: readonly Described[]): string {
  if (list.length === 0) return "";
  return `      ${name}=(\n${list.map((each) => `        ${quoted(`${each.name.replaceAll(":", "\\:")}:${each.doc}`)}\n`).join("")}      )\n`;
}

function paths(tree: readonly CommandNode[]): readonly string[] {
  return tree.map(({ path }) => path).filter((path) => path !== "");
}

/** Commands, then, behind a bar, options. */
function wordsOf({ commands, options }: CommandNode): readonly string[] {
  const names = options.map(({ name }) => name);
  return commands.length === 0 ? names : [...commands.map(({ name }) => name), "|", ...names];
}

/** Options that take a value, as "topic create --config": with the words they take, or none when it may be anything. */
function valueCases(tree: readonly CommandNode[]): readonly { readonly at: readonly string[]; readonly choices: readonly string[] }[] {
  return tree.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ names, choices }) => ({ at: names.map((name) => `${path} ${name}`), choices: choices ?? [] })),
  );
}

/** For a shell: one word, whatever stands in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
