#!/bin/sh
# Hands one event of a coding agent to SQLite Backup, on stdin and stdout. Whatever happens, it prints one JSON object and
# exits with 0: agents take anything else for a reason to stop, or to go on unprotected.
command_line=$(dirname -- "$0")/../../dist/cli.js
case $(uname) in
Darwin) base="$HOME/Library/Application Support" ;;
*) base=$HOME/.local/share ;;
esac
data=${XDG_DATA_HOME:-$base}/sqlite-backup

# The extension writes which Node it runs in, and what to do when nothing can be saved.
node='' when=ask
if [ -r "$data/runtime/agents" ]; then
  { IFS= read -r node && IFS= read -r when; } <"$data/runtime/agents" || :
fi
[ -n "$node" ] && [ -x "$node" ] || node=$(command -v node) || node=''

answer=
if [ -n "$node" ] && [ -r "$command_line" ]; then
  answer=$(ELECTRON_RUN_AS_NODE=1 "$node" "$command_line" hook --when-not-saved "$when" 2>/dev/null) || answer=
fi
case $answer in
"{"*"}") printf '%s\n' "$answer" ;;
*)
  # Said once a day.
  said=$data/runtime/agents-said
  today=$(date +%Y-%m-%d)
  if [ "$(cat "$said" 2>/dev/null)" = "$today" ]; then
    printf '{}\n'
  else
    { mkdir -p "$data/runtime" && chmod 700 "$data" && printf '%s\n' "$today" >"$said"; } 2>/dev/null || :
    printf '{"systemMessage":"SQLite Backup cannot save databases before tools: it needs Node.js 22.14 or newer, or the extension in VS Code."}\n'
  fi
  ;;
esac
exit 0
