#!/usr/bin/env bash
# Uploads a file by curl alone, through whatever happens meanwhile, and prints its address.
#
#   tests/clients/curl.sh ENDPOINT TOKEN FILE
set -euo pipefail

endpoint=$1 token=$2 file=$3
size=$(wc -c <"$file")
name=$(basename "$file" | tr -d '\n' | base64 -w 0)
tus=(--silent --show-error --fail -H "Authorization: Bearer $token" -H 'Tus-Resumable: 1.0.0')

# Give the value of a field of the head that comes in.
field() { tr -d '\r' | awk -v name="$1" 'tolower($1) == name ":" { print $2 }'; }

location=$(curl "${tus[@]}" -D - -o /dev/null -X POST "$endpoint" \
	-H "Upload-Length: $size" -H "Upload-Metadata: filename $name" | field location)
# Where it is a path, it is one at the same server.
url=$location
if [[ $location == /* ]]; then url=$(cut -d / -f 1-3 <<<"$endpoint")$location; fi

for _ in {1..100}; do
	offset=$(curl "${tus[@]}" --head "$url" | field upload-offset) || { sleep 0.2; continue; }
	if ((offset == size)); then
		echo "$url"
		exit 0
	fi
	tail -c "+$((offset + 1))" "$file" | curl "${tus[@]}" -X PATCH -T - "$url" -o /dev/null \
		-H 'Content-Type: application/offset+octet-stream' -H "Upload-Offset: $offset" -H 'Expect:' || true
done
echo "no end after 100 requests" >&2
exit 1
