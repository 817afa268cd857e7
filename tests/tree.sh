# tree.sh: a small Linux system made of this one's programs, for tests of roots. Source it.

# small_tree FOLDER PROGRAM...: the programs below bin, and the libraries they need.
small_tree() {
    local folder=$1 name library
    shift
    mkdir -p "$folder/bin"
    for name in "$@"; do
        cp -L "$(type -P "$name")" "$folder/bin/$name"
        ldd "$folder/bin/$name"
    done | grep -o '/[^ ]*' | sort -u | while read -r library; do
        mkdir -p "$folder$(dirname "$library")"
        cp -L "$library" "$folder$library"
    done
}
