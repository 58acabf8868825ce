#!/usr/bin/env bash
# Makes a throw-away CA and two node certificates: ./make.sh DIR
set -euo pipefail
dir=${1:?usage: make.sh DIR}
umask 077
mkdir -p "$dir"
cd "$dir"

openssl genpkey -algorithm ed25519 -out ca.key
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=swarm development CA, do not trust" -out ca.pem

for node in one two; do
    openssl genpkey -algorithm ed25519 -out "$node.key"
    openssl req -new -key "$node.key" -subj "/CN=swarm development node $node" -out "$node.csr"
    openssl x509 -req -in "$node.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out "$node.pem"
    rm "$node.csr"
    openssl verify -CAfile ca.pem "$node.pem"
done
