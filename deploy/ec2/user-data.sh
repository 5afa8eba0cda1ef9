#!/usr/bin/env bash
# Prepares a bare EC2 host (Amazon Linux 2023, Debian, Ubuntu) and runs Lighterage on it: Docker, a volume, a service.
# Run it as root, by hand or as user data; again and again does no harm.
#
#   LIGHTERAGE_IMAGE        container image; needed
#   LIGHTERAGE_ENVIRONMENT  settings, NAME=value a line, in base64
#   LIGHTERAGE_PARAMETERS   "NAME parameter" a line, in base64: settings whose value is an SSM parameter (SecureString)
#   LIGHTERAGE_DEVICE       block device for /data; is formatted only if nothing is on it. Not set: the root volume
set -euo pipefail

IMAGE=${LIGHTERAGE_IMAGE:?name the container image}
DATA=/var/lib/lighterage
SETTINGS=/etc/lighterage.env

install_packages() {
	if command -v dnf >/dev/null; then
		dnf install -y -q docker awscli
	else
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io awscli
	fi
	systemctl enable --now docker
}

# 1 GiB of memory is little while images are unpacked.
make_swap() {
	if [[ -e /swapfile ]]; then return; fi
	fallocate -l 1G /swapfile
	chmod 600 /swapfile
	mkswap /swapfile >/dev/null
	swapon /swapfile
	echo '/swapfile none swap sw 0 0' >>/etc/fstab
}

mount_data() {
	mkdir -p "$DATA"
	local device=${LIGHTERAGE_DEVICE:-}
	if [[ -n $device ]] && ! mountpoint -q "$DATA"; then
		# It is attached only after the machine has started.
		for _ in {1..60}; do
			if [[ -b $device ]]; then break; fi
			sleep 5
		done
		if [[ ! -b $device ]]; then
			echo "there is no $device" >&2
			exit 1
		fi
		if ! blkid "$device" >/dev/null; then mkfs.ext4 -q -L lighterage "$device"; fi
		if ! grep -q "$DATA" /etc/fstab; then
			echo "LABEL=lighterage $DATA ext4 defaults,nofail,noatime 0 2" >>/etc/fstab
		fi
		mount "$DATA"
	fi
	chown 10001:10001 "$DATA"
}

write_settings() {
	local name parameter
	touch "$SETTINGS"
	chmod 600 "$SETTINGS"
	base64 -d <<<"${LIGHTERAGE_ENVIRONMENT:-}" >"$SETTINGS"
	echo >>"$SETTINGS"
	while read -r name parameter; do
		if [[ -z $name ]]; then continue; fi
		printf '%s=%s\n' "$name" "$(aws ssm get-parameter --with-decryption --name "$parameter" \
			--query Parameter.Value --output text)" >>"$SETTINGS"
	done < <(base64 -d <<<"${LIGHTERAGE_PARAMETERS:-}" && echo)
}

write_service() {
	cat >/etc/systemd/system/lighterage.service <<-UNIT
		[Unit]
		Description=Lighterage
		After=docker.service
		Requires=docker.service
		RequiresMountsFor=$DATA

		[Service]
		Restart=always
		RestartSec=5
		# The container is made anew at each start: everything that is kept is in its volume.
		ExecStartPre=-/usr/bin/docker rm --force lighterage
		ExecStart=/usr/bin/docker run --name lighterage --env-file $SETTINGS --publish 8000:8000 \\
		    --volume $DATA:/data --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \\
		    --memory 640m --log-driver journald $IMAGE
		# As long as running requests have in the server itself, and some more.
		ExecStop=/usr/bin/docker stop --time 30 lighterage
		TimeoutStopSec=40

		[Install]
		WantedBy=multi-user.target
	UNIT
	systemctl daemon-reload
	systemctl enable lighterage
	docker pull "$IMAGE"
	systemctl restart lighterage
}

install_packages
make_swap
mount_data
write_settings
write_service
