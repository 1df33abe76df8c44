#!/usr/bin/env bash
# The four cells of the adversarial VAE's ablation on ICT-FaceKit faces, the closed-form methods, and their table.
#
#     bash benchmarks/adversarial_vae_ict.sh path/to/ict-facekit.tar.xz OUT [key=value ...]
#
# Further arguments are training settings of all four cells. A run that was cut goes on where it stopped.
set -euo pipefail
archive=$1
out=$2
shift 2
settings=()
for setting in "$@"; do settings+=(--set "$setting"); done

mkdir -p "$out"
[ -d "$out/data" ] || mien data build ict --from "$archive" --subjects 200 --expressions facescape20 \
  --region narrow --vertices 2500 --out "$out/data"

cell() {
  name=$1
  shift
  mien train adversarial_vae --data "$out/data" --out "$out/$name" --profile standard --resume "${settings[@]}" "$@"
}
cell neither --set neutrals=false --set identity_discriminator=false
cell discriminator --set neutrals=false
cell neutrals --set identity_discriminator=false
cell neutrals_discriminator
baselines=(morphable pca)
for name in "${baselines[@]}"; do
  [ -f "$out/$name/config.json" ] || mien train "$name" --data "$out/data" --out "$out/$name"
done
mien evaluate "$out"/{neither,discriminator,neutrals,neutrals_discriminator,morphable,pca} \
  --data "$out/data" --out "$out/tables"
