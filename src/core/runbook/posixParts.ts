/*
 * What the blocks for a POSIX shell have in common, as sh: words and looks, holders, hashes, the claim of a database, and
 * the exchange of the live file.
 */

/** Words, facts, and looks that change nothing. */
export const looks = `set -eu
umask 077
replaced=
bad() {
  printf "BAD: %s\\n" "$*" >&2
  if [ -n "$replaced" ]; then
    printf "Replaced before that:%s. The block Undo of step 6 puts the previous database back.\\n" "$replaced" >&2
  fi
  exit 1
}
unknown() { printf "NOT CHECKED: %s\\n" "$*" >&2; exit 1; }
say() { printf "%s\\n" "$*"; }
need() {
  for tool in "$@"; do
    command -v "$tool" >/dev/null || unknown "this block needs $tool, which is not installed."
  done
}
text() {
  eval "shown=\\\${$1-}"
  plain=$shown
  case $shown in *"\\0"*) plain=$(printf "%b." "$shown"); plain=\${plain%.} ;; esac
}
use() {
  item=$1
  text "BACKUP_$1"; backup=$plain backup_is=$shown
  text "ZIP_$1"; zip=$plain
  text "MEMBER_$1"; member=$plain
  text "SHA256_$1"; sha256=$plain
  text "VERDICT_$1"; verdict=$plain
  text "LIVE_$1"; live=$plain live_is=$shown
  text "KEPT_$1"; kept=$plain kept_is=$shown
  text "HAD_$1"; had=$plain
  new=$kept.new
}
# Both hold the same, or both hold nothing.
equal() {
  if [ -s "$1" ] || [ -s "$2" ]; then [ -e "$1" ] && [ -e "$2" ] && cmp -s "$1" "$2"; fi
}
# The live database is what $1 holds. The -shm file holds no data.
same() {
  for part in "" -wal -journal; do equal "$live$part" "$1$part" || return 1; done
}
# The live database has nothing that $1 does not have. A copy that was interrupted has taken away what was beside it.
covered() {
  equal "$live" "$1" || return 1
  for part in -wal -journal; do [ -s "$live$part" ] || continue; equal "$live$part" "$1$part" || return 1; done
}
sql() { sqlite3 -batch -init /dev/null -bail "$@" 2>&1; }
sound() {
  said=$(sql "$@" ".timeout 5000" "PRAGMA integrity_check") || :
  [ "$said" = ok ] || {
    said=$(printf "%s" "$said" | head -n 3 | tr -c "[:print:]" " ")
    return 1
  }
}
`;

/** Which programs have the live database open. */
export const holders = `can_look() {
  [ -d /proc/self/fd ] || [ -n "$(lsof -t -p $$ 2>/dev/null)" ]
}
open_in() {
  if [ -d /proc/self/fd ]; then
    for fd in /proc/[0-9]*/fd/*; do
      for part in "" -wal -shm -journal; do
        if [ "$fd" -ef "$1$part" ]; then pid=\${fd#/proc/}; echo "\${pid%%/*}"; fi
      done
    done
  else
    for part in "" -wal -shm -journal; do
      if [ -e "$1$part" ]; then lsof -t "$1$part" 2>/dev/null || :; fi
    done
  fi
}
free() {
  if can_look; then :; else
    say "NOT CHECKED: which programs have $2 open. This needs lsof."
    return 0
  fi
  names=
  for pid in $(open_in "$1" | sort -nu); do
    name=$(cat "/proc/$pid/comm" 2>/dev/null || ps -p "$pid" -o comm= 2>/dev/null || echo process)
    names="$names\${names:+, }$(printf "%s" "$name" | tr -cd "[:print:]") ($pid)"
  done
  [ -z "$names" ] || bad "$2 is open in $names. Stop it, then run this block again."
  if [ "$(id -u)" -ne 0 ]; then
    say "NOT CHECKED: programs of other users. Only root sees what they have open."
  fi
}
`;

export const hashes = `need_hash() {
  if [ -n "$sha256" ]; then
    command -v sha256sum >/dev/null || command -v shasum >/dev/null || need openssl
  fi
}
hash() {
  if command -v sha256sum >/dev/null; then sha256sum
  elif command -v shasum >/dev/null; then shasum -a 256
  else openssl dgst -sha256 -r
  fi | cut -c1-64
}
# $1 is the backup, byte for byte. With its SHA-256 it is what was checked before, whatever this sqlite3 cannot read of it.
intact() {
  sound "$@" || {
    [ -n "$sha256" ] || bad "the integrity check of $backup_is says: $said"
    unsure=yes
    say "NOT CHECKED: the SHA-256 of $backup_is is right, but this sqlite3 says: $said"
  }
}
usable() {
  [ -f "$backup" ] || bad "$backup_is is not there. Nothing was changed."
  if [ "$verdict" = damaged ]; then bad "$backup_is is damaged. Choose another backup. Nothing was changed."; fi
  if [ -n "$member" ]; then need unzip; return 0; fi
  if [ -z "$sha256" ] && { [ -s "$backup-wal" ] || [ -s "$backup-journal" ]; }; then
    bad "$backup_is has a -wal or -journal file beside it: a program uses it. Back it up first, and restore that backup. Nothing was changed."
  fi
}
`;

/** One block at a time for a database. What a block did not finish goes with it. */
export const alone = `locks=
tidy() {
  for one in $locks; do
    use "$one"
    for part in "" -wal -shm -journal; do
      rm -f "$new$part" "$kept$part.part" "$kept.restored$part.part"
    done
    rmdir "$live.by-hand"
  done
}
begin() {
  trap tidy 0
  trap "exit 130" 1 2 15
  for one in $ITEMS; do
    use "$one"
    if [ -e "$live.by-hand" ]; then
      bad "another block works on $live_is, or was killed. If none runs, delete the empty folder $live_is.by-hand and run this block again."
    fi
    mkdir "$live.by-hand" || bad "nothing can be written beside $live_is. Nothing was changed."
    locks="$locks $one"
  done
}
# Waits until files and folders are on the disk. Not every sync takes names.
flush() { sync "$@" 2>/dev/null || sync; }
# Gives $1 the name $2, if that is free.
put() {
  if ln "$1" "$2" 2>/dev/null; then rm -f "$1"
  elif [ -e "$2" ]; then return 1
  else mv "$1" "$2"
  fi
}
# Keeps the live database as $1, called $2: copied, compared, on the disk, and only then under its name.
keep() {
  if [ -e "$1" ]; then
    same "$1" || bad "$2 is there already, and $live_is is not the same: it was used or replaced since. Nothing was changed."
    return 0
  fi
  for part in -wal -journal ""; do
    rm -f "$1$part.part"
    [ -e "$live$part" ] || continue
    cp -p "$live$part" "$1$part.part" 2>/dev/null || cp "$live$part" "$1$part.part" ||
      bad "$live_is$part could not be copied. Nothing was changed."
    flush "$1$part.part"
  done
  for part in -wal -journal ""; do
    equal "$live$part" "$1$part.part" ||
      bad "$live_is$part changed while it was copied. Stop the programs that use it (step 1). Nothing was changed."
    if [ -s "$1$part" ]; then
      equal "$live$part" "$1$part" || bad "$2$part is there already, and is something else. Nothing was changed."
    fi
  done
  for part in -wal -journal ""; do
    [ -e "$1$part.part" ] || continue
    [ -e "$1$part" ] || put "$1$part.part" "$1$part" || bad "$2$part could not be made."
    rm -f "$1$part.part"
  done
  flush "\${1%/*}"
  same "$1" || bad "$live_is changed while it was kept as $2. Stop the programs that use it (step 1)."
}
`;

/** The exchange of the live database for `$new`, or for nothing. */
export const exchange = `rights() {
  set -f
  set -- $(LC_ALL=C ls -nd "$1" | head -n 1)
  set +f
  printf "%s" "\${1%[.+@]} $3 $4"
}
# $new gets owner and mode of the previous database.
dress() {
  text "OWNER_$item"; owner=$plain
  text "MODE_$item"; mode=$plain
  [ -n "$owner" ] || return 0
  chown "$owner" "$new" 2>/dev/null || :
  chmod "$mode" "$new" 2>/dev/null || :
  if [ -e "$live" ]; then
    [ "$(rights "$new")" = "$(rights "$live")" ] ||
      bad "the copy cannot get the owner and the mode of $live_is. Run this block as root, or as its owner who is in its group. Nothing was changed."
  fi
}
placed() {
  if [ "$drop" = yes ]; then [ -e "$live" ] && return 1; return 0; fi
  [ -e "$new" ] && return 1
  return 0
}
changed() {
  bad "$live_is changed at the last moment. It was not replaced. Stop the programs that use it (step 1)."
}
# The live database is kept whole as $was, so nothing is lost whatever comes between.
exchange() {
  case $state in
  # The lock has rolled it back.
  hot) ;;
  # The lock has made a journal.
  empty) [ -s "$live" ] && changed ;;
  *) covered "$was" || changed ;;
  esac
  old=
  for fd in /proc/$PPID/fd/*; do if [ "$fd" -ef "$live" ]; then old=$fd; fi; done
  if rm -f "$live-wal" "$live-shm" "$live-journal" &&
    if [ "$drop" = yes ]; then rm -f "$live"; else mv -f "$new" "$live"; fi
  then return 0; fi
  for part in -wal -journal; do
    if [ -s "$was$part" ]; then
      cp -p "$was$part" "$live$part" || bad "$live_is could not be replaced, and its $part file not be put back. The complete database is $was_is."
    fi
  done
  bad "$live_is could not be replaced. It holds what it held before."
}
waiting() {
  for fd in /proc/[0-9]*/fd/*; do
    if [ "$fd" -ef "$old" ]; then
      pid=\${fd#/proc/}; pid=\${pid%%/*}
      if [ "$pid" -ne "$PPID" ]; then printf " %s" "$pid"; fi
    fi
  done
}
# Runs inside sqlite3, which keeps every other program out meanwhile. It is killed: at its end it would write.
let_go() {
  if [ -r "/proc/$$/stat" ]; then
    read -r one two three parent rest <"/proc/$$/stat" || :
    [ "$parent" = "$PPID" ] || return 0
  fi
  kill -9 "$PPID"
}
if [ -n "$HELD" ]; then
  trap let_go 0
  use "$HELD"
  choose
  exchange
  if [ -z "$old" ]; then
    say "NOT CHECKED: whether a program opened $live_is in the moment in which it was replaced." >&3
    exit 0
  fi
  told=
  while pids=$(waiting) && [ -n "$pids" ]; do
    [ "$pids" = "$told" ] ||
      say "WAITING for process$pids: it opened $live_is while that was replaced, and must not write to it. Stop it." >&3
    told=$pids
    sleep 1
  done
  exit 0
fi
arrived() {
  flush "\${live%/*}"
  replaced="$replaced $live_is"
}
# Under the exclusive lock of SQLite, as far as the file can be locked.
place() {
  state=
  if [ -e "$live" ]; then
    if [ -s "$live" ]; then :; else state=empty; fi
    if [ -s "$live-journal" ]; then state=hot; fi
    covered "$was" || bad "$live_is changed since it was kept. It was not replaced. Stop the programs that use it (step 1)."
    said=$(
      exec 2>&1
      printf "%s\\n" ".timeout 3000" "PRAGMA locking_mode=EXCLUSIVE;" "BEGIN EXCLUSIVE;" "$HOLD" |
        HELD=$item state=$state sqlite3 -batch -init /dev/null -bail "$live" 3>&3
    ) || :
    if placed; then arrived; return 0; fi
    why=$(printf "%s\\n" "$said" | sed -n "s/^BAD: //p")
    [ -z "$why" ] || bad "$why"
    case $said in
    *"unable to open"*) bad "$live_is cannot be opened for writing. It was not replaced." ;;
    *"file is not a database"* | *"disk image is malformed"*) ;;
    *locked*) bad "a program uses $live_is: it is locked. It was not replaced. Stop that program (step 1)." ;;
    *) bad "$live_is could not be locked, so it was not replaced. sqlite3 says: $said" ;;
    esac
    say "NOT CHECKED: $live_is is no readable database, so it cannot be locked while it is replaced."
    exchange
  else
    # A -wal or -journal that was left over would change the new file. It is kept as well.
    covered "$was" || changed
    rm -f "$live-wal" "$live-shm" "$live-journal" || bad "the files beside $live_is cannot be removed. Nothing was replaced."
    put "$new" "$live" || bad "a file has taken the name $live_is. It was not replaced."
  fi
  placed || bad "$live_is was not replaced."
  arrived
}
`;
