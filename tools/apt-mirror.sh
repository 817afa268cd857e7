# apt-mirror.sh: which Debian mirror this machine's own apt uses. Source it.

# apt_mirror CODENAME: prints the mirror's address; fails silently where apt has none configured.
apt_mirror() {
    local codename=$1 address
    address=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' \
        "Codename: $codename" 2>/dev/null | head -n1) || true
    # Where no list was fetched yet apt names no target, but it knows what it would fetch.
    [ -n "$address" ] || address=$(apt-get --print-uris update 2>/dev/null |
        sed -n "s#^'\(.*\)/dists/$codename/InRelease'.*#\1#p" | head -n1) || true
    [ -n "$address" ] && printf '%s\n' "$address"
}
