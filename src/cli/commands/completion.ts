import type { Argv, CommandModule } from "yargs";
import { commandTree, type HelpOf } from "../completion/command-tree.ts";
import { bashScript, fishScript, zshScript } from "../completion/scripts.ts";
import { oneOf } from "../flags.ts";
import type { Terminal } from "../terminal.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** @param helpOf given from outside: the program knows this command, so this command cannot import the program */
export function completionCommand(terminal: Terminal, helpOf: HelpOf): CommandModule<object, { readonly shell: keyof typeof scripts }> {
  return {
    command: "completion <shell>",
    describe: "Print a script that completes commands and options",
    builder: (yargs) =>
      yargs
        .positional("shell", { ...oneOf("shell", ["bash", "zsh", "fish"]), demandOption: true, describe: "Shell to write it for" })
        .hide("brokers")
        .example("source <($0 completion bash)", "for this shell; in ~/.bashrc for all")
        .example("$0 completion zsh > ~/.zfunc/_millrace", "in a folder of $fpath")
        .example("$0 completion fish > ~/.config/fish/completions/millrace.fish", "") as Argv<{ readonly shell: keyof typeof scripts }>,
    handler: async ({ shell }) => {
      await terminal.data(scripts[shell](await commandTree(helpOf)));
    },
  };
}
