/*
 * What the blocks for a POSIX shell do, as sh. Every block looks at the disk before it changes anything, ends with GOOD or
 * with what is wrong, and can be run again. Names are in variables, decoded; `…_is` is the name as it is shown.
 *
 * The previous database is kept by copies, never by hard links: not every file system has links, and a program that opens
 * the live database meanwhile writes into a linked file, but not into a copy. A copy has its name only when it is complete.
 */

/** Words, facts, and looks that change nothing. */
const looks = `set -eu
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
const holders = `can_look() {
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

const hashes = `need_hash() {
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
const alone = `locks=
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
const exchange = `rights() {
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

const check = `${looks}${hashes}
need sqlite3
unsure=
for one in $ITEMS; do
  use "$one"
  need_hash
  usable
  if [ -n "$member" ]; then
    unzip -tqq "$zip" "$member" >/dev/null 2>&1 || bad "the database cannot be read from $backup_is."
    [ -z "$sha256" ] || [ "$(unzip -p "$zip" "$member" | hash)" = "$sha256" ] ||
      bad "$backup_is is not what was compared: the SHA-256 of a database in it differs."
  else
    [ -z "$sha256" ] || [ "$(hash <"$backup")" = "$sha256" ] ||
      bad "$backup_is is not what was compared: its SHA-256 differs."
    if [ "$(od -An -tu1 -j18 -N1 "$backup" | tr -d " ")" = 2 ]; then
      unsure=yes
      say "NOT CHECKED: $backup_is is in WAL mode. Step 3 checks its copy."
    else
      intact -readonly "$backup"
    fi
  fi
  if [ -z "$sha256" ]; then unsure=yes; say "NOT CHECKED: the SHA-256 of $backup_is was not recorded."; fi
done
if [ -z "$unsure" ]; then say "GOOD: the backup is intact. Next: step 1."
else say "GOOD: nothing wrong was found in the backup. See above what was not checked. Next: step 1."
fi`;

const stop = `${looks}${holders}
can_look || unknown "which programs have the database open. This needs lsof. Make sure that none has."
for one in $ITEMS; do use "$one"; free "$live" "$live_is"; done
if [ "$(id -u)" -eq 0 ]; then say "GOOD: no program has the database open. Next: step 2."
else say "GOOD: no program that this user can see has the database open. Next: step 2."
fi`;

const move = `${looks}${holders}${alone}
need cmp
begin
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then
    [ -e "$live" ] || bad "$live_is is not there. Nothing was changed. Compare again, and use the new blocks."
  elif [ -e "$live" ]; then
    bad "a file has taken the name $live_is. Nothing was changed. Compare again, and use the new blocks."
  fi
  free "$live" "$live_is"
done
for one in $ITEMS; do
  use "$one"
  keep "$kept" "$kept_is"
  if [ -e "$kept" ]; then say "$live_is is kept as $kept_is."
  else say "$live_is: there is no database to keep."
  fi
done
say "GOOD: everything is kept. The live database is unchanged. Next: step 3."`;

const copy = `${looks}${holders}${hashes}${alone}drop=no
choose() { was=$kept was_is=$kept_is; }
${exchange}
exec 3>&1
need sqlite3 cmp
for one in $ITEMS; do use "$one"; need_hash; usable; done
begin
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then
    [ -e "$kept" ] || bad "the current database is not kept as $kept_is: run the block of step 2 first. Nothing was changed."
    [ -e "$live" ] || bad "$live_is is not there. Nothing was changed. The block Undo of step 6 puts it back."
  elif [ -e "$live" ]; then
    bad "a file has taken the name $live_is, or this block has run already. Nothing was changed."
  fi
  covered "$kept" || bad "$live_is is not what step 2 kept: it was used since, or this block has run already. Nothing was changed. The block Undo of step 6 puts the previous database back."
  free "$live" "$live_is"
done
for one in $ITEMS; do
  use "$one"
  if [ -n "$member" ]; then
    unzip -p "$zip" "$member" >"$new" || bad "the database cannot be read from $backup_is. Nothing was changed."
  else
    cp "$backup" "$new" || bad "$backup_is could not be copied. Nothing was changed."
    cmp -s "$backup" "$new" || bad "the copy of $backup_is differs from it. Nothing was changed."
  fi
  [ -z "$sha256" ] || [ "$(hash <"$new")" = "$sha256" ] ||
    bad "$backup_is is not what was compared: its SHA-256 differs. Nothing was changed."
  intact "$new"
  text "WAL_$item"
  if [ "$plain" = yes ]; then
    # The checksum VFS keeps 8 bytes a page, and page 1 is not to be changed without it.
    if [ "$(od -An -tu1 -j20 -N1 "$new" | tr -d " ")" = 8 ]; then
      say "NOT CHANGED: the application sets WAL mode by itself, as the pages have checksums of its own."
    else
      said=$(sql "$new" "PRAGMA journal_mode=wal") || :
      [ "$said" = wal ] || bad "WAL mode could not be set: $said. Nothing was changed."
    fi
  fi
  dress
  flush "$new"
done
for one in $ITEMS; do use "$one"; choose; free "$live" "$live_is"; place; done
for one in $ITEMS; do
  use "$one"
  say "$live_is now holds the backup."
  if [ -e "$kept" ]; then say "The previous database is kept as $kept_is."; fi
done
say "GOOD: the backup is in place. Next: step 4."`;

const verify = `${looks}
need sqlite3 cmp
differs=
for one in $ITEMS; do
  use "$one"
  [ -e "$live" ] || bad "$live_is is not there."
  if [ -e "$new" ]; then bad "step 3 has not ended: run its block again."; fi
  if [ "$had" = yes ]; then
    [ -e "$kept" ] || bad "the previous database is not kept as $kept_is, so this block cannot tell whether step 3 has run."
    if same "$kept"; then bad "$live_is is still the previous database: run the block of step 3."; fi
  fi
  sound "$live" || case $said in
  *locked*) unknown "$live_is is locked by a program. Run this block again later." ;;
  *) bad "the integrity check of $live_is says: $said" ;;
  esac
  say "$live_is passes the integrity check."
  n=1
  while text "TABLE_\${n}_OF_$item" && [ -n "$plain" ]; do
    want=\${plain%% *}
    rows=$(sql "$live" ".timeout 5000" "SELECT count(*) FROM \${plain#* }") ||
      bad "\${shown#* } cannot be read: $rows"
    if [ "$want" = "?" ]; then say "\${shown#* }: $rows rows. They were not counted for the backup."
    elif [ "$rows" = "$want" ]; then say "\${shown#* }: $rows rows, as in the backup."
    else differs=yes; say "\${shown#* }: $rows rows, but $want in the backup."
    fi
    n=$((n + 1))
  done
done
if [ -n "$differs" ]; then
  printf "%s\\n" "DIFFERENT: the row counts above. That is normal once the application writes. If it has not written, step 3 has not run." >&2
  exit 1
fi
say "GOOD: the live database is sound, and has the row counts of the backup as far as they are listed."`;

const undo = `${looks}${holders}${alone}choose() {
  was=$kept.restored was_is=$kept_is.restored
  drop=no
  if [ "$had" = no ]; then drop=yes; fi
}
${exchange}
exec 3>&1
need sqlite3 cmp
begin
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then
    [ -e "$kept" ] || bad "the previous database is not kept as $kept_is. Nothing was changed."
    if [ "$ITEMS" = 1 ] && [ -e "$live" ] && same "$kept"; then
      bad "$live_is is the previous database already. Nothing was changed."
    fi
  else
    [ -e "$live" ] || bad "$live_is is not there: there is nothing to undo."
  fi
  free "$live" "$live_is"
  free "$kept" "$kept_is"
done
for one in $ITEMS; do
  use "$one"
  [ "$had" = yes ] || continue
  for part in -wal -journal ""; do
    [ -e "$kept$part" ] || continue
    cp -p "$kept$part" "$new$part" 2>/dev/null || cp "$kept$part" "$new$part" ||
      bad "$kept_is$part could not be copied. Nothing was changed."
    cmp -s "$kept$part" "$new$part" || bad "the copy of $kept_is$part differs from it. Nothing was changed."
  done
  text "READABLE_$item"
  if [ "$plain" = yes ]; then
    [ -s "$kept" ] || bad "$kept_is is empty. Nothing was changed."
    sound "$new" || say "WARNING: the integrity check of $kept_is says: $said"
  fi
  # What its -wal or -journal has goes into the file, so that it takes the live name whole.
  if [ -s "$new-wal" ] || [ -s "$new-journal" ]; then
    said=$(sql "$new" "PRAGMA wal_checkpoint(TRUNCATE)" "SELECT count(*) FROM sqlite_schema") || bad "$kept_is cannot be read: $said. Nothing was changed."
    if [ -s "$new-wal" ]; then bad "the -wal file of $kept_is cannot be merged. Nothing was changed."; fi
  fi
  rm -f "$new-wal" "$new-shm" "$new-journal"
  dress
  flush "$new"
done
for one in $ITEMS; do
  use "$one"
  choose
  if [ "$had" = yes ] && [ -e "$live" ] && same "$kept"; then continue; fi
  free "$live" "$live_is"
  keep "$was" "$was_is"
  place
done
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then say "$live_is is the previous database again. Its copy $kept_is stays until you delete it."; fi
  if [ -e "$kept.restored" ]; then say "What the restore had put there is kept as $kept_is.restored."; fi
done
say "GOOD: the restore is undone. Start the programs again."`;

const remove = `${looks}${holders}${alone}
need sqlite3
begin
for one in $ITEMS; do
  use "$one"
  [ -e "$kept" ] || [ -e "$kept-wal" ] || [ -e "$kept-journal" ] || bad "$kept_is is not there. Nothing was deleted."
  [ -s "$live" ] || bad "$live_is is not there, or is empty, so $kept_is may be the last copy. Nothing was deleted."
  sound "$live" || bad "the integrity check of $live_is says: $said. Nothing was deleted."
  free "$kept" "$kept_is"
  for intent in "\${live%/*}"/.sqlite-backup-restore-*.json; do
    if [ -e "$intent" ]; then bad "a restore in this folder was interrupted and may need $kept_is. Finish it, or roll it back, first. Nothing was deleted."; fi
  done
done
for one in $ITEMS; do
  use "$one"
  for part in "" -wal -shm -journal; do rm -f "$kept$part" || bad "$kept_is$part could not be deleted."; done
  flush "\${kept%/*}"
done
say "GOOD: the previous database is deleted. The restore can no longer be undone."`;

export const scripts = { check, stop, move, copy, verify, undo, remove } as const;
