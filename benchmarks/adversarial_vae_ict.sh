#!/usr/bin/env bash
# The four cells of the adversarial VAE's ablation on ICT-FaceKit faces, the baselines, and their table.
#
#     bash benchmarks/adversarial_vae_ict.sh path/to/ict-facekit.tar.xz OUT
#
# A run that was cut goes on where it stopped. On one core of the machine of the committed figures: 10 to 15
# minutes for the cells without discriminator, 16 to 45 with it.
set -euo pipefail
archive=$1
out=$2

mkdir -p "$out"
[ -d "$out/data" ] || mien data build ict --from "$archive" --subjects 200 --expressions facescape20 \
  --region narrow --vertices 2500 --out "$out/data"

cell() {
  name=$1
  shift
  mien train adversarial_vae --data "$out/data" --out "$out/$name" --profile standard --resume "$@"
}
# The discriminator has a tenth of the paper's steps, so it learns five times and weighs ten times as much.
discriminator=(--set adversarial=0.005 --set discriminator_rate=0.0005 --set pretraining_steps=400)
# Without neutrals nothing but the discriminator tells the factors apart, and a closed form would decide instead of
# it: these two cells begin and end as published, at random weights and with the last ones.
random=(--set neutrals=false --set closed_form_start=false --set closed_form_finish=0 --set decoder_rate=1.0
  --set steps=6000 --set decay_every=600)
cell neither "${random[@]}" --set identity_discriminator=false
cell discriminator "${random[@]}" "${discriminator[@]}"
# The same in the paper's unit for FaceScape, in which decoders start 5.7 times as rough. The discriminator weighs a hundred
# times as much as in the paper's long run, and sees all faces through noise that fades from 20 to 2 mm.
published=(--set divisor=573 --set reconstruction=152.3 --set smoothness=3.05e-4)
faded=(--set adversarial=0.05 --set discriminator_rate=0.0005 --set pretraining_steps=300
  --set discriminator_noise=20 --set discriminator_noise_last=2)
cell neither_divisor_573 "${random[@]}" "${published[@]}" --set identity_discriminator=false
cell discriminator_divisor_573 "${random[@]}" "${published[@]}" "${faded[@]}"
cell neutrals --set identity_discriminator=false
# A quarter of the profile's steps, as each takes four times as long.
cell neutrals_discriminator --set steps=2500 --set decay_every=250 "${discriminator[@]}"

baselines=(morphable pca mean_expression displacement_transfer deformation_transfer nearest_identity)
for name in "${baselines[@]}"; do
  [ -f "$out/$name/config.json" ] || mien train "$name" --data "$out/data" --out "$out/$name"
done
models=("$out"/{neither,discriminator,neither_divisor_573,discriminator_divisor_573,neutrals,neutrals_discriminator})
mien evaluate "${models[@]}" "${baselines[@]/#/$out/}" --data "$out/data" --out "$out/tables"
