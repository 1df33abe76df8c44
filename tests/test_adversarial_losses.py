"""Signs of every adversarial, class and pair term: what one update does to a score measured by the test."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import planted, tiny_data
from one_step import SEED, change_by_step, watched
from torch import Tensor, nn
from torch.nn import functional

from mien.data.sampling import Batch, mixed_pairs, style_pairs
from mien.evaluation.generation.embedding import triplet_loss
from mien.models.adversarial_vae import losses as vae_losses
from mien.models.adversarial_vae.model import AdversarialVAE
from mien.models.decoupled_gan.losses import DecouplingLosses
from mien.models.decoupled_gan.losses import Settings as DecouplingSettings
from mien.models.decoupled_gan.model import DecoupledGAN
from mien.models.facecam.losses import LatentLosses, SupervisedLosses
from mien.models.facecam.losses import Settings as FaceCAMSettings
from mien.models.facecam.model import FaceCAM
from mien.models.facecam.networks import Heads, LabelMap, LatentDiscriminator
from mien.models.facecam.progressive import ProgressiveDiscriminator
from mien.models.facecam.texture_losses import TextureLosses, TextureSettings
from mien.models.facecam.textures import TextureModel
from mien.models.facetunegan.losses import Settings as TranslationSettings
from mien.models.facetunegan.losses import TranslationLosses
from mien.models.facetunegan.model import FaceTuneGAN
from mien.models.facetunegan.networks import StyleDiscriminator

DATA = tiny_data()
ROWS = np.array([1, 2, 8, 15, 21, 28, 30, 40])


def updates(steps: Any) -> dict[str, dict[str, Tensor]]:
    """The losses of one step by player, with the random numbers that scores are measured with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return dict(steps)


def likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean log probability of class numbers."""
    return logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()


def batch_of(rows: np.ndarray = ROWS) -> Batch:
    vertices, subject = torch.from_numpy(DATA[rows]), torch.from_numpy(DATA.row_subject[rows]).long()
    return Batch(vertices, subject, torch.from_numpy(DATA.row_weights[rows]))


# ---- adversarial VAE


def same_margin(net: nn.Module, first: Tensor, second: Tensor) -> Tensor:
    """(n,) how much more "same person" than "different": logits 1 and 0, as the batch's ``same`` has it."""
    logits = net(torch.cat([first, second], dim=2))
    return logits[:, 1] - logits[:, 0]


def vae(**changes: Any) -> SimpleNamespace:
    """A model and its opponent, a batch, and what both players see of it."""
    data = planted().data
    torch.manual_seed(0)
    model = AdversarialVAE(data.topology, data.expressions, 6, 5, hidden=24)
    model.prepare(data)
    net = vae_losses.IdentityDiscriminator()
    settings = replace(vae_losses.Settings(batch_size=8), **changes)
    stage = vae_losses.joint_training(model, net, data, settings, None)
    batch = stage.batch(torch.Generator().manual_seed(0))
    x = model.normalize(batch.vertices)

    def shapes() -> tuple[Tensor, Tensor]:
        """X_id_hat and the expression's offset, drawn as the step draws them."""
        torch.manual_seed(SEED)
        means, spreads = model.posterior(x)
        z = [m + (0.5 * v).exp() * torch.randn_like(m) for m, v in zip(means, spreads, strict=True)]
        return model.normalize(model.mean_face) + model.shape("identity", z[0]), model.shape(
            "expression", z[1]
        )

    return SimpleNamespace(model=model, net=net, stage=stage, batch=batch, x=x, shapes=shapes)


def test_vae_pretraining_tells_real_people_apart() -> None:
    setting, data = vae(), planted().data
    stage = vae_losses.pretraining(setting.model, setting.net.eval(), data, vae_losses.Settings())
    batch = mixed_pairs(data, 12)(torch.Generator().manual_seed(0))
    first, second = (setting.model.normalize(part) for part in (batch.vertices, batch.partner))
    with watched(setting.net) as seen:
        (loss,) = updates(stage.step(batch, 0))["discriminator"].values()
    pull = seen.pull(loss, torch.cat([first, second], dim=2))
    same = batch.same.bool()
    assert 0 < same.sum() < 12
    assert (pull[same, 1] > 0).all() and (pull[~same, 1] < 0).all()

    def gap() -> Tensor:
        margin = same_margin(setting.net, first, second)
        return margin[same].mean() - margin[~same].mean()

    assert change_by_step(loss, setting.net, gap) > 0


def test_vae_discriminator_calls_scans_same_and_identity_shapes_different() -> None:
    setting = vae()
    partner = setting.model.normalize(setting.batch.partner)
    x_id = setting.shapes()[0].detach()
    with watched(setting.net) as seen:
        (loss,) = updates(setting.stage.step(setting.batch, 0))["discriminator"].values()
    real = seen.pull(loss, torch.cat([setting.x, partner], dim=2))
    made = seen.pull(loss, torch.cat([setting.x, x_id], dim=2))
    assert (real[:, 1] > 0).all() and (real[:, 0] < 0).all()
    assert (made[:, 1] < 0).all() and (made[:, 0] > 0).all()

    def gap() -> Tensor:
        margins = (same_margin(setting.net, setting.x, other) for other in (partner, x_id))
        return torch.stack([m.mean() for m in margins]) @ torch.tensor([1.0, -1.0])

    assert change_by_step(loss, setting.net, gap) > 0


def test_vae_learns_identity_shapes_that_pass_for_the_person() -> None:
    setting = vae()
    loss = updates(setting.stage.step(setting.batch, 0))["vae"]["adversarial"]

    def judged() -> Tensor:
        return same_margin(setting.net, setting.x, setting.shapes()[0]).mean()

    assert change_by_step(loss, setting.model, judged) > 0


def test_vae_terms_are_measured_on_the_mesh_that_they_name() -> None:
    """Smoothness and neutral of X_id_hat, reconstruction of X_hat: none of them of the scan or the offset."""
    setting = vae(smoothness=0.1, expression_offset=1.0, identity_discriminator=False)
    terms = updates(setting.stage.step(setting.batch, 0))["vae"]
    model, batch, scale = setting.model, setting.batch, 150.0
    x_id, offset = setting.shapes()
    neutral = model.normalize(batch.neutral)
    laplacian = vae_losses.MeshLaplacian(model.topology)
    wanted = {
        "smoothness": 0.1 * laplacian(x_id).square().sum(2).mean(),
        "neutral": scale * (x_id - neutral).square().mean(),
        "expression_offset": scale * (offset - (setting.x - neutral)).square().mean(),
        "reconstruction": scale * (x_id + offset - setting.x).square().mean(),
    }
    for name, value in wanted.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-6, msg=name)
    offsets = model.decoders["expression"][2].weight
    assert torch.autograd.grad(terms["smoothness"], offsets, retain_graph=True, allow_unused=True) == (None,)
    rough = change_by_step(terms["smoothness"], model, lambda: laplacian(setting.shapes()[0]).square().mean())
    assert rough < 0


@pytest.mark.parametrize(("mean", "log_variance"), [(2.0, 1.0), (-2.0, -1.0)])
def test_vae_pulls_both_codes_to_the_normal_distribution(mean: float, log_variance: float) -> None:
    setting = vae()
    model = setting.model
    with torch.no_grad():
        for heads, value in ((model.means, mean), (model.log_variances, log_variance)):
            for head in heads.values():
                head.weight.zero_()
                head.bias.fill_(value)
    terms = updates(setting.stage.step(setting.batch, 0))["vae"]
    for number, factor in enumerate(("identity", "expression")):
        loss = terms[f"divergence_{factor}"]

        def size(number: int = number) -> Tensor:
            return model.posterior(setting.x)[0][number].square().mean()

        def spread(number: int = number) -> Tensor:
            return (model.posterior(setting.x)[1][number]).square().mean()

        assert change_by_step(loss, model.means[factor], size) < 0
        assert change_by_step(loss, model.log_variances[factor], spread) < 0


def test_vae_finds_a_persons_code_again_in_the_identity_shape() -> None:
    setting = vae(identity_discriminator=False)
    loss = updates(setting.stage.step(setting.batch, 0))["vae"]["identity_code"]

    def apart() -> Tensor:
        code = setting.model.posterior(setting.x)[0][0]
        return (setting.model.posterior(setting.shapes()[0])[0][0] - code).abs().mean()

    assert change_by_step(loss, setting.model, apart) < 0


# ---- FaceTuneGAN


def translation(**changes: Any) -> SimpleNamespace:
    torch.manual_seed(0)
    model = FaceTuneGAN(
        DATA.topology, DATA.expressions, content_size=6, style_size=3, channels=(8, 16), mapping=(12,)
    )
    model.prepare(DATA)
    settings = TranslationSettings(average=0.0, gradient_penalty=0.0, **changes)
    net = StyleDiscriminator(model, settings.feature_of)
    with torch.no_grad():
        net.head.weight *= 0.1  # scores within the hinge, so that every face counts
    losses = TranslationLosses(model, model, net, settings)
    batch = style_pairs(DATA, 8)(torch.Generator().manual_seed(1))
    x, s = model.normalize(batch.vertices), model.normalize(batch.partner)
    rest = batch.partner_weights.sum(1) == 0
    classes = torch.where(rest, len(DATA.expressions), batch.partner_weights.argmax(1))

    def translated() -> Tensor:
        return model.join(model.mean_code(model.content, x), model.mean_code(model.style, s))

    return SimpleNamespace(
        model=model, losses=losses, net=net, batch=batch, x=x, s=s, classes=classes,
        translated=translated, step=partial(losses.step, batch, 0),
    )  # fmt: skip


@pytest.mark.parametrize("gan", ["bce", "hinge"])
def test_facetunegan_discriminator_answers_for_the_class_of_the_style(gan: str) -> None:
    setting = translation(gan=gan)
    with watched(setting.net) as seen:
        (loss,) = updates(setting.step())["discriminator"].values()
    own = functional.one_hot(setting.classes, len(DATA.expressions) + 1).bool()
    assert len(setting.classes.unique()) > 3
    fake = setting.translated().detach()
    for faces, sign in ((setting.s, 1), (fake, -1)):
        pull = seen.pull(loss, faces)
        assert (sign * pull[own] > 0).all() and (pull[~own] == 0).all()

    def gap() -> Tensor:
        return (setting.net(setting.s)[0][own] - setting.net(fake)[0][own]).mean()

    assert change_by_step(loss, setting.net, gap) > 0


@pytest.mark.parametrize("gan", ["bce", "hinge"])
def test_facetunegan_generator_passes_for_the_class_of_the_style(gan: str) -> None:
    setting = translation(gan=gan)
    terms = updates(setting.step())["generator"]

    def passed() -> Tensor:
        return setting.net(setting.translated())[0].gather(1, setting.classes[:, None]).mean()

    assert change_by_step(terms["adversarial"], setting.model, passed) > 0


def test_facetunegan_pairs_grow_alike() -> None:
    """Style of x_t like that of s, x found again in x_t, features like those of x and of s."""
    setting = translation()
    model, terms = setting.model, updates(setting.step())["generator"]

    def style_gap() -> Tensor:
        wanted = model.mean_code(model.style, setting.s)
        return (model.mean_code(model.style, setting.translated()) - wanted).abs().mean()

    def cycle_gap() -> Tensor:
        content = model.mean_code(model.content, setting.translated())
        again = model.join(content, model.mean_code(model.style, setting.x))
        return (again - setting.x).norm(dim=2).mean()

    def feature_gap() -> Tensor:
        same = model.join(model.mean_code(model.content, setting.x), model.mean_code(model.style, setting.x))
        pairs = ((same, setting.x), (setting.translated(), setting.s))
        return torch.stack([(setting.net(a)[1] - setting.net(b)[1]).abs().mean() for a, b in pairs]).sum()

    weights = {"style": (0.4, style_gap), "cycle": (1.0, cycle_gap), "feature": (1.0, feature_gap)}
    for name, (weight, gap) in weights.items():
        torch.testing.assert_close(terms[name], weight * gap(), rtol=1e-4, atol=1e-5, msg=name)
        assert change_by_step(terms[name], model, gap) < 0, name


def test_facetunegan_smooths_the_translation_and_no_other_face() -> None:
    setting = translation()
    model = setting.model
    terms = updates(setting.step())["generator"]
    laplacian = vae_losses.MeshLaplacian(model.topology)

    def roughness() -> Tensor:
        return laplacian(setting.translated() + model.mean_face / model.deviation).norm(dim=2).mean()

    torch.testing.assert_close(terms["smoothness"], 0.1 * roughness(), rtol=1e-4, atol=1e-6)
    assert change_by_step(terms["smoothness"], model, roughness) < 0


# ---- decoupled GAN


def decoupling(**changes: Any) -> SimpleNamespace:
    torch.manual_seed(0)
    model = DecoupledGAN(DATA.topology, DATA.expressions, 6, 4, 2, hidden=24)
    model.prepare(DATA)
    settings = DecouplingSettings(
        image_size=16,
        batch_size=24,
        instance_noise=0.0,
        gradient_penalty=0.0,
        discriminator_updates=1,
        **changes,
    )
    (stage,) = model.stages(DATA, settings)
    step: Any = stage.step
    losses: DecouplingLosses = step.__self__
    batch = stage.batch(torch.Generator().manual_seed(0))
    net = losses.discriminator

    def made(mode: tuple[str, str]) -> tuple[Tensor, Tensor]:
        """Images and labels as the generator's update draws them."""
        torch.manual_seed(SEED)
        z, labels = losses.draw(8, mode)
        return losses.mapping(model.displacements(z)), labels

    real = losses.mapping((batch.vertices - model.mean_face) / model.scale)
    return SimpleNamespace(model=model, losses=losses, net=net, batch=batch, made=made, real=real)


MODES = [("identity", "expression"), ("expression", "identity")]


def judged(setting: SimpleNamespace) -> tuple[dict[str, Tensor], Tensor, Any]:
    """One update of the critic on 24 real faces, the generated images that it saw, and all its calls."""
    with torch.random.fork_rng(devices=[]), watched(setting.losses.mapping) as images:
        torch.manual_seed(SEED)
        with watched(setting.net.real) as seen:
            name, terms = next(setting.losses.step(setting.batch, 0))
    assert name == "discriminator"
    shown = [answers[0] for _, answers in images.calls]
    (fake,) = [image for image in shown if not torch.allclose(image, setting.real, atol=1e-5)]
    return terms, fake, seen


def test_decoupled_critic_raises_real_faces_over_generated_ones() -> None:
    setting = decoupling()
    terms, fake, seen = judged(setting)
    net = setting.net
    for images, sign in ((setting.real, 1), (fake, -1)):
        assert (sign * seen.pull(terms["critic"], net.common(images)) > 0).all()
    torch.testing.assert_close(terms["critic"], (net.score(fake) - net.score(setting.real)).mean())
    assert (
        change_by_step(terms["critic"], net, lambda: (net.score(setting.real) - net.score(fake)).mean()) > 0
    )


def test_decoupled_classifiers_learn_the_labels_of_real_faces() -> None:
    setting = decoupling()
    terms, _, _ = judged(setting)
    for column, factor in enumerate(("identity", "expression")):
        labels = setting.batch.labels[:, column]

        def known(factor: str = factor, labels: Tensor = labels) -> Tensor:
            return likelihood(setting.net.classes[factor](setting.net.common(setting.real)), labels)

        assert change_by_step(terms[f"real_{factor}"], setting.net, known) > 0


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_decoupled_generator_deceives_critic_and_classifier_and_keeps_what_pairs_share(
    mode: tuple[str, str],
) -> None:
    setting = decoupling()
    net, (labeled, shared) = setting.net, mode
    torch.manual_seed(SEED)
    terms = setting.losses.deceive(8, mode, 0.0)

    def real() -> Tensor:
        return net.score(setting.made(mode)[0]).mean()

    def named() -> Tensor:
        images, labels = setting.made(mode)
        return likelihood(net.classes[labeled](net.common(images)), labels)

    def alike() -> Tensor:
        features = net.features(shared, net.common(setting.made(mode)[0]))
        return functional.cosine_similarity(features[0::2], features[1::2]).mean()

    def even() -> Tensor:
        torch.manual_seed(SEED)
        u = setting.model.displacements(setting.losses.draw(8, mode)[0])
        return setting.losses.laplacian(u).square().mean()

    for name, score, sign in (
        ("adversarial", real, 1), (f"label_{labeled}", named, 1), (f"feature_{shared}", alike, 1),
        ("laplacian", even, -1),
    ):  # fmt: skip
        assert sign * change_by_step(terms[name], setting.model, score, length=1e-3) > 0, name


# ---- FaceCAM


def facecam(**changes: Any) -> SimpleNamespace:
    torch.manual_seed(0)
    model = FaceCAM(
        DATA.topology, DATA.expressions, hidden=(32, 16), generator_hidden=(24, 16), identity_size=7,
        expression_size=5,
    )  # fmt: skip
    model.prepare(DATA)
    labels = LabelMap(DATA, False)
    net = LatentDiscriminator(7, 5, 8, 6, hidden=(16, 8, 8), dropout=0.0)
    losses = LatentLosses(model, model.generators, net, labels, FaceCAMSettings(**changes))
    losses.measure(DATA)
    batch = batch_of()
    what = torch.from_numpy(DATA.label[ROWS]) + 1

    def made() -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        torch.manual_seed(SEED)
        return losses.draw(len(ROWS), what)

    return SimpleNamespace(
        model=model, losses=losses, net=net, batch=batch, what=what, made=made,
        real=losses.standardized(batch.vertices), step=partial(losses.step, batch, 0),
    )  # fmt: skip


def test_facecam_discriminator_raises_codes_of_scans_over_generated_ones() -> None:
    setting = facecam()
    with watched(setting.net) as seen:
        terms = updates(setting.step())["discriminator"]
    loss = torch.stack(list(terms.values())).sum()
    made = tuple(code.detach() for code in setting.made()[0])
    for codes, sign in ((setting.real, 1), (made, -1)):
        assert (sign * seen.pull(loss, torch.cat(codes, dim=1)) > 0).all()
    adversarial = terms["real"] + terms["fake"]

    def gap() -> Tensor:
        return (setting.net(*setting.real)[0] - setting.net(*made)[0]).mean()

    assert change_by_step(adversarial, setting.net, gap) > 0
    assert change_by_step(terms["fake"], setting.net, lambda: setting.net(*made)[0].mean()) < 0
    assert change_by_step(terms["real"], setting.net, lambda: setting.net(*setting.real)[0].mean()) > 0
    for name, place, labels in (("identity", 1, setting.batch.subject), ("expression", 2, setting.what)):

        def known(place: int = place, labels: Tensor = labels) -> Tensor:
            return likelihood(setting.net(*setting.real)[place], labels)

        assert change_by_step(terms[f"real_{name}"], setting.net, known) > 0, name


def test_facecam_generators_pass_for_scans_of_their_people_and_expressions() -> None:
    setting = facecam()
    terms = updates(setting.step())["generators"]
    _, who, what = setting.made()

    def real() -> Tensor:
        return setting.net(*setting.made()[0])[0].mean()

    def person() -> Tensor:
        return likelihood(setting.net(*setting.made()[0])[1], who)

    def expression() -> Tensor:
        return likelihood(setting.net(*setting.made()[0])[2], what)

    for name, score in (("adversarial", real), ("identity", person), ("expression", expression)):
        assert change_by_step(terms[name], setting.model.generators, score) > 0, name


def test_facecam_matches_generated_codes_with_the_persons_own() -> None:
    setting = facecam(matching=2.0)
    terms = updates(setting.step())["generators"]
    one_hot = functional.one_hot(setting.what, 6).float()

    def apart() -> Tensor:
        people = setting.model.z_people[setting.batch.subject]
        noise = torch.zeros(len(people), setting.model.sizes[3])
        made = setting.model.generate(people, one_hot, noise, people)
        return torch.stack([(a - b).abs().mean() for a, b in zip(made, setting.real, strict=True)]).sum()

    assert change_by_step(terms["matching"], setting.model.generators, apart, length=0.1) < 0


def test_facecam_heads_learn_people_from_one_code_and_expressions_from_the_other() -> None:
    setting = facecam()
    heads = Heads(7, 5, 8, 6)
    stage = SupervisedLosses(setting.model, heads, setting.losses.labels, FaceCAMSettings(swap=1.0))
    batch = replace(setting.batch, partner=torch.from_numpy(DATA[ROWS - ROWS % 6 + (ROWS + 1) % 6]))
    terms = updates(stage.step(batch, 0))["autoencoder"]
    both = nn.ModuleList([setting.model, heads])
    for name, place, labels in (("identity", 0, batch.subject), ("expression", 1, setting.what)):

        def known(name: str = name, place: int = place, labels: Tensor = labels) -> Tensor:
            return likelihood(getattr(heads, name)(setting.model.embed(batch.vertices)[place]), labels)

        assert change_by_step(terms[f"{name}_class"], both, known) > 0, name

    def swapped() -> Tensor:
        assert batch.partner is not None
        made = setting.model.face(
            setting.model.embed(batch.partner)[0], setting.model.embed(batch.vertices)[1]
        )
        return (made - batch.vertices).norm(dim=2).mean()

    assert change_by_step(terms["swap"], setting.model, swapped) < 0


# ---- FaceCAM's textures


def textures(**changes: Any) -> SimpleNamespace:
    torch.manual_seed(0)
    model = TextureModel(8, 20, 6, noise=4, widest=8)
    critic = ProgressiveDiscriminator(8, 6, 8, 8)
    people, settings = torch.randn(8, 20), TextureSettings(texture_gradient_penalty=0.0, **changes)
    losses = TextureLosses(
        model, model.generator, critic, people, LabelMap(DATA, False), settings, level=1, steps=10
    )
    batch = replace(batch_of(), texture=torch.rand(len(ROWS), 3, 8, 8) * 2 - 1)
    what = torch.from_numpy(DATA.label[ROWS]) + 1

    def made() -> tuple[Tensor, Tensor, Tensor]:
        torch.manual_seed(SEED)
        return losses.draw(what, 1.0)

    return SimpleNamespace(
        model=model, critic=critic, losses=losses, batch=batch, what=what, made=made,
        look=lambda images: critic(images, 1, 1.0), step=partial(losses.step, batch, 0),
    )  # fmt: skip


def test_texture_critic_raises_real_images_over_generated_ones() -> None:
    setting = textures()
    with watched(setting.critic) as seen:
        terms = updates(setting.step())["critic"]
    real, made = setting.batch.texture, setting.made()[0].detach()
    loss = terms["critic"] + terms["real_identity"] + terms["real_expression"]
    for images, sign in ((real, 1), (made, -1)):
        assert (sign * seen.pull(loss, images) > 0).all()

    def gap() -> Tensor:
        return (setting.look(real)[0] - setting.look(made)[0]).mean()

    def drift() -> Tensor:
        return setting.look(real)[0].square().mean()

    assert change_by_step(terms["critic"], setting.critic, gap) > 0
    assert change_by_step(terms["drift"], setting.critic, drift, length=1e-3) < 0
    for name, place, labels in (("expression", 1, setting.what), ("identity", 2, setting.batch.subject)):

        def known(place: int = place, labels: Tensor = labels) -> Tensor:
            return likelihood(setting.look(real)[place], labels)

        assert change_by_step(terms[f"real_{name}"], setting.critic, known) > 0, name


def test_texture_generator_passes_for_its_people_and_expressions() -> None:
    setting = textures()
    terms = updates(setting.step())["generator"]
    _, who, what = setting.made()

    def real() -> Tensor:
        return setting.look(setting.made()[0])[0].mean()

    def expression() -> Tensor:
        return likelihood(setting.look(setting.made()[0])[1], what)

    def person() -> Tensor:
        return likelihood(setting.look(setting.made()[0])[2], who)

    for name, score in (("adversarial", real), ("expression", expression), ("identity", person)):
        assert change_by_step(terms[name], setting.model.generator, score) > 0, name


# ---- the network that says whether two faces are the same


def test_triplets_draw_the_same_together_and_others_apart() -> None:
    """Both sums of squared distances move as they should, for every label of the batch."""
    torch.manual_seed(0)
    network, labels = nn.Linear(9, 4), torch.arange(3).repeat_interleave(4)
    faces = torch.randn(12, 9)
    together = labels[:, None] == labels[None]

    def embedded() -> Tensor:
        return functional.normalize(network(faces), dim=1)

    def gap() -> Tensor:
        apart = torch.cdist(embedded(), embedded()).square()
        return apart[~together].mean() - apart[together & ~torch.eye(12, dtype=torch.bool)].mean()

    assert change_by_step(triplet_loss(embedded(), labels, 0.2), network, gap) > 0
