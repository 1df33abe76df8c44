"""The texture GAN: its terms, its fades, resume in the middle of one, and maps that belong to a person."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fixtures import run_stage, tiny_data

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch
from mien.data.writer import DatasetWriter
from mien.errors import BadSetting, Unsupported
from mien.models.facecam.model import FaceCAM
from mien.models.facecam.networks import LabelMap
from mien.models.facecam.progressive import ProgressiveDiscriminator
from mien.models.facecam.texture_losses import TextureLosses, TextureSettings, steps_of, texture_stages
from mien.models.facecam.textures import TextureModel
from mien.models.files import load_model, save_model
from mien.training import fit_model, loop, plan_training

CROP = (0.25, 0.0, 0.75, 0.5)
SMALL = {
    "pca_dim": 8, "hidden": [16, 8], "generator_hidden": [8, 8], "steps": 2, "latent_steps": 2,
    "batch_size": 8,
    "texture_size": 16, "texture_channels": 8, "texture_noise": 6, "texture_batch_size": [8],
    "texture_centered": True, "texture_steps": [3, 12], "texture_matching": 1.0, "texture_new_people": 0.3,
    "texture_matching_first": [1, 2], "texture_virtual_people": 0.5, "texture_detail": 1.0,
    "texture_performance": 10.0,
}  # fmt: skip


def colored(folder: Path) -> FaceDataset:
    """A crop of the person's color with a bar that tells the expression, and half that color around it."""
    data, rng = tiny_data(), np.random.default_rng(0)
    color = rng.uniform(60, 200, (len(data.subjects), 3))
    facts = {"textures": {"pixels": 64, "crop": CROP}}
    with DatasetWriter(folder, data.topology, data.expressions, facts=facts) as writer:
        for row in range(len(data)):
            image = np.empty((64, 64, 3))
            image[:] = 20 + 0.5 * color[data.subject[row]]
            image[:32, 16:48] = color[data.subject[row]]
            image[50:60, 2:10] = (250, 240, 230)  # an eye, outside the crop
            label = int(data.label[row]) + 1
            image[8:16, 16 + 4 * label : 20 + 4 * label] *= 0.4
            writer.append(
                data[row], data.weights[row], subject=data.subjects[data.subject[row]],
                texture=image.astype(np.uint8),
            )  # fmt: skip
    return FaceDataset.load(writer.folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    return colored(tmp_path_factory.mktemp("colored") / "set")


def fresh(data: FaceDataset, **options: object) -> FaceCAM:
    torch.manual_seed(0)
    small = {"pca_dim": 8, "hidden": (16, 8), "generator_hidden": (8, 8), "texture_size": 16,
             "texture_channels": 8, "texture_noise": 6, "texture_centered": True}  # fmt: skip
    model = FaceCAM(data.topology, data.expressions, **(small | options))
    model.prepare(data)
    return model


def game_of(
    model: FaceCAM, data: FaceDataset, level: int = 2, steps: int = 10, **settings: object
) -> TextureLosses:
    painter, labels = model.painter, LabelMap(data, False)
    assert painter is not None
    critic = ProgressiveDiscriminator(painter.size, painter.classes, len(labels.people), 8)
    settings_ = TextureSettings(**settings)
    return TextureLosses(painter, painter.generator, critic, model.z_people, labels, settings_, level, steps)


def test_published_settings() -> None:
    settings = TextureSettings()
    assert settings.texture_steps == 600_000 and steps_of(600_000, 7) == [85_714] * 7
    assert (settings.texture_rate, settings.texture_average) == (1e-3, 0.999)
    assert (settings.texture_gradient_penalty, settings.texture_drift) == (10.0, 0.001)
    assert steps_of([5, 6, 7], 2) == [5, 6]
    with pytest.raises(BadSetting, match="2 levels needs 2 numbers"):
        steps_of([5], 2)


def test_a_level_fades_in_over_its_first_half_and_the_first_is_whole(data: FaceDataset) -> None:
    model = fresh(data)
    game = game_of(model, data, level=2, steps=10)
    assert [game.fade(index) for index in range(10)] == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1.0] * 6)
    assert game_of(model, data, level=1).fade(0) == 1.0


def test_penalty_of_a_linear_critic_is_its_known_slope(data: FaceDataset) -> None:
    game = game_of(fresh(data), data)
    weight = torch.randn(3, 16, 16)
    game.critic = lambda x, level, fade: ((x * weight).sum((1, 2, 3)), None, None)  # type: ignore[assignment]
    found = game.slope_error(torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16), 1.0)
    assert found.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)


def test_the_critics_terms(data: FaceDataset) -> None:
    """Scores 3 on real and -1 on generated images, flat logits: every term has a known value."""
    game = game_of(fresh(data), data, texture_gradient_penalty_every=2)
    real, made = torch.ones(4, 3, 16, 16), -torch.ones(4, 3, 16, 16)
    people = len(game.people)

    def critic(x: torch.Tensor, level: int, fade: float) -> tuple[torch.Tensor, ...]:
        score = 1 + 2 * x.mean((1, 2, 3))
        return score, torch.zeros(len(x), 6), torch.zeros(len(x), people)

    game.critic = critic  # type: ignore[assignment]
    who, what = torch.tensor([0, 1, -1, 2]), torch.tensor([0, 1, 2, 3])
    losses = {k: v.item() for k, v in game.discriminate(real, made, who, what, index=0).items()}
    slope = 2 / np.sqrt(3 * 16 * 16)
    expected = {
        "critic": -1 - 3, "drift": 0.001 * 9, "real_expression": np.log(6), "real_identity": np.log(people),
        "gradient_penalty": 2 * 10 * (slope - 1) ** 2,
    }  # fmt: skip
    assert losses == pytest.approx(expected, rel=1e-5)
    assert "gradient_penalty" not in game.discriminate(real, made, who, what, index=1)


def test_conditions_are_those_of_the_shape(data: FaceDataset) -> None:
    """z_id of the shape's table, z_exp its classes; neutral may enter as zero; noise is drawn last."""
    model = fresh(data)
    game = game_of(model, data, level=1, texture_zero_is_neutral=1.0)
    seen = []
    game.generator = lambda latent, level, fade: seen.append(latent) or torch.zeros(len(latent), 3, 8, 8)  # type: ignore
    _, who, what = game.draw(torch.zeros(12, dtype=torch.int64), 1.0)
    noise, z_id, z_exp = seen[0].split([6, 20, 6], dim=1)
    torch.testing.assert_close(z_id, model.z_people[who])
    torch.testing.assert_close(z_exp, torch.nn.functional.one_hot(what, 6).float() * (what > 0)[:, None])
    assert noise.std() > 0.7
    game.settings = TextureSettings(texture_new_people=1.0)
    _, who, _ = game.draw(torch.zeros(12, dtype=torch.int64), 1.0)
    assert (who == -1).all()
    game.labels.present = torch.tensor([2, 5])
    assert set(game.draw(torch.zeros(60, dtype=torch.int64), 1.0)[2].tolist()) == {2, 5}


def test_mixtures_of_people_are_mixtures_of_images(data: FaceDataset) -> None:
    """A generator that is linear in z_id matches every mixture exactly; an even error has no detail."""
    model = fresh(data, texture_size=8)
    settings = {"texture_matching": 1.0, "texture_detail": 1.0, "texture_virtual_people": 1.0}
    game, axes = game_of(model, data, level=1, **settings), 0.2 * torch.randn(20, 3 * 64)
    assert model.painter is not None

    def made(latent: torch.Tensor, level: int, fade: float) -> torch.Tensor:
        return (latent[:, 6:26] @ axes).view(-1, 3, 8, 8) + offset

    def images(subject: torch.Tensor) -> torch.Tensor:
        shown = (model.z_people[subject] @ axes).view(-1, 3, 8, 8)
        return shown * model.painter.deviation + model.painter.mean

    game.generator, offset = made, 0.0  # type: ignore[assignment]
    who, other = torch.arange(8), torch.arange(8).roll(3)
    batch = Batch(
        torch.zeros(8, 0, 3), who, torch.zeros(8, 5), texture=images(who), partner_texture=images(other),
        partner_subject=other,
    )  # fmt: skip
    real = model.painter.normalize(images(who))
    losses = game.match_own(batch, real, 1.0)
    assert losses["matching"].item() < 1e-6 and losses["detail"].item() < 1e-6
    offset = 0.5
    losses = game.match_own(batch, real, 1.0)
    assert losses["matching"].item() == pytest.approx(0.5, abs=1e-5) and losses["detail"].item() < 1e-5
    with pytest.raises(BadSetting, match="texture_centered"):
        plain = TextureModel(8, 20, 6)
        next(texture_stages(plain, plain, data, model.z_people, game.labels, game.settings))


def test_what_is_wrong_with_a_person_is_not_what_is_wrong_with_a_performance(data: FaceDataset) -> None:
    """A generator with another person's colors but the true change has no such error; a still one has all."""
    model = fresh(data, texture_size=8)
    game = game_of(model, data, level=1, texture_matching=1.0, texture_performance=3.0)
    change = torch.randn(5, 3, 8, 8)
    fault = torch.randn(20, 192)

    def made(latent: torch.Tensor, level: int, fade: float) -> torch.Tensor:
        person = (latent[:, 6:26] @ fault).view(-1, 3, 8, 8) + latent[:, :1, None, None]
        return person + gain * torch.einsum("be,eihw->bihw", latent[:, 27:], change)

    painter, subject = model.painter, torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    assert painter is not None
    weights = torch.eye(5)[[0, 1, 2, 3, 4, 0, 1, 2]]
    rest = torch.rand(8, 3, 8, 8) - 0.5
    moved = rest + (weights @ change.flatten(1)).view(-1, 3, 8, 8) * painter.deviation
    batch = Batch(torch.zeros(8, 0, 3), subject, weights, texture=moved, neutral_texture=rest)
    game.generator, gain = made, 1.0  # type: ignore[assignment]
    real = painter.normalize(moved)
    losses = game.match_own(batch, real, 1.0)
    assert losses["performance"].item() < 1e-10 and losses["matching"].item() > 0.5
    gain = 0.0
    expected = 3 * change[:4].square().mean().item()  # half of the rows
    assert game.match_own(batch, real, 1.0)["performance"].item() == pytest.approx(expected, rel=1e-4)
    still = Batch(torch.zeros(8, 0, 3), subject, 0 * weights, texture=rest, neutral_texture=rest)
    still.weights[0, 1] = 1.0  # an image that does not change tells nothing
    game.generator = model.painter.generator
    assert game.match_own(still, painter.normalize(rest), 1.0)["performance"].item() == 0


class Cut(BaseException):
    """Stands in for SIGKILL."""


def run(data: FaceDataset, out: Path, **options: object) -> dict[str, torch.Tensor]:
    plan = plan_training("facecam", SMALL, profile="smoke", protocol="subject")
    model = fit_model(plan, data, out, accelerator="cpu", progress=False, save_seconds=0.0, **options)
    return model.state_dict()


def test_a_run_that_is_cut_in_the_middle_of_a_fade_resumes_to_the_same_weights(
    data: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")
    whole = run(data, tmp_path / "whole")
    original, cuts = loop.Loop._step, {("texture 8 px", 2), ("texture 16 px", 3)}

    def cutting(self: loop.Loop, stage: object, index: int) -> object:
        if (stage.name, index) in cuts:  # type: ignore[attr-defined]
            cuts.remove((stage.name, index))  # type: ignore[attr-defined]
            raise Cut
        return original(self, stage, index)  # type: ignore[arg-type]

    monkeypatch.setattr(loop.Loop, "_step", cutting)
    for _ in range(2):
        with pytest.raises(Cut):
            run(data, tmp_path / "cut", resume=(tmp_path / "cut").exists())
    resumed = run(data, tmp_path / "cut", resume=True)
    assert not cuts and set(whole) == set(resumed)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    # And the ladder moved what it should: the last level of the average, too.
    start = fresh(data).state_dict()
    assert (whole["painter.generator.to_rgb.1.weight"] != start["painter.generator.to_rgb.1.weight"]).any()
    again = load_model(tmp_path / "cut")
    codes = again.sample(2, generator=torch.Generator().manual_seed(0))
    assert again.texture(codes).shape == (2, 256, 256, 3)


@pytest.fixture(scope="module")
def trained(data: FaceDataset) -> FaceCAM:
    """90 short steps at 8 pixels, with the paired term."""
    model = fresh(data, texture_size=8, texture_channels=16)
    settings = FaceCAM.Settings(
        texture_steps=[90], texture_batch_size=[24], texture_rate=5e-3, texture_matching=10.0,
        texture_average=0.9, texture_zero_is_neutral=0.5, texture_gradient_penalty_every=4,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    assert model.painter is not None
    for stage in texture_stages(model, model.painter, data, model.z_people, LabelMap(data, False), settings):
        run_stage(stage, generator)
    model.calibrate(data)
    return model.eval()


def test_textures_for_a_shape_that_is_trained_already(data: FaceDataset, tmp_path: Path) -> None:
    """The shape is another run's to the last bit, whatever the seed; what differs elsewhere is refused."""
    pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")

    def fit(out: str, **changes: object) -> FaceCAM:
        plan = plan_training("facecam", SMALL | changes, profile="smoke", seed=int("taken" in out))
        return fit_model(plan, data, tmp_path / out, accelerator="cpu", progress=False)  # type: ignore

    shape = fit("shape", texture_size=0)
    taken = fit("taken", shape_from=str(tmp_path / "shape"))
    left = {name: value for name, value in taken.state_dict().items() if not name.startswith("painter.")}
    assert set(left) == set(shape.state_dict())
    assert all(torch.equal(value, left[name]) for name, value in shape.state_dict().items())
    stages = {json.loads(line)["stage"] for line in (tmp_path / "taken/metrics.jsonl").open()}
    assert stages == {"texture 8 px", "texture 16 px"} and taken.makes_textures
    still = {"texture_steps": [0, 1], "texture_fade": 0.0, "texture_rate": 1e-12, "texture_matching_first": 0}
    on = fit("on", shape_from=str(tmp_path / "taken"), **still).state_dict()
    for name, value in taken.state_dict().items():
        torch.testing.assert_close(on[name], value, atol=1e-6, rtol=0)
    with pytest.raises(BadSetting, match="another hidden"):
        fit("other", shape_from=str(tmp_path / "shape"), hidden=[12, 8])
    with pytest.raises(BadSetting, match="nothing left to learn"):
        fit("none", shape_from=str(tmp_path / "shape"), texture_size=0)


def crop_colors(maps: torch.Tensor) -> np.ndarray:
    """(B, 3) mean color of the middle of the crop."""
    return maps[:, 40:120, 80:176].float().mean(dim=(1, 2)).numpy()


def test_the_texture_is_the_persons_own(data: FaceDataset, trained: FaceCAM, tmp_path: Path) -> None:
    """Training people, generated from the z_id of their shape, have their color."""
    codes = trained.training_people(data.subjects)
    with torch.no_grad():
        found = crop_colors(trained.texture(codes))
    truth = np.random.default_rng(0).uniform(60, 200, (len(data.subjects), 3))
    assert np.abs(found - truth).mean() < 0.35 * np.abs(truth.mean(axis=0) - truth).mean()
    save_model(trained, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert torch.equal(again.texture(codes), trained.texture(codes))


def test_texture_is_smooth_in_intensity_with_the_noise_held(data: FaceDataset, trained: FaceCAM) -> None:
    person = trained.sample(1, generator=torch.Generator().manual_seed(2))
    weights = torch.zeros(16, len(data.expressions))
    weights[:, 0] = torch.linspace(0, 1.5, 16)
    codes = person[torch.zeros(16, dtype=torch.long)].replace(expression=trained.express(weights))
    assert torch.equal(codes.others["texture"], person.others["texture"].expand(16, -1))
    with torch.no_grad():
        maps = trained.texture(codes).float()
    steps = (maps[1:] - maps[:-1]).abs().mean(dim=(1, 2, 3))
    assert steps.max() < 4 * steps.mean() and (maps[-1] - maps[0]).abs().mean() > steps.max()
    other = codes.replace(texture=torch.randn(16, 6, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        jumping = (trained.texture(other).float()[1:] - trained.texture(other).float()[:-1]).abs().mean()
    assert jumping > steps.mean()


def test_codes_without_texture_noise_are_accepted(trained: FaceCAM) -> None:
    faces = torch.from_numpy(tiny_data()[:2])
    codes = trained.encode(faces)
    assert trained.texture(codes).dtype == torch.uint8
    drawn = trained.sample(2, generator=torch.Generator().manual_seed(0))
    assert trained.mix(codes, drawn, 0.5).others["texture"].shape == (2, 6)


def test_the_map_around_the_crop_follows_the_skin_and_leaves_the_rest(data: FaceDataset) -> None:
    """Around the crop the planted maps have 20 + half the crop's color, and an eye that is everybody's."""
    painter = fresh(data).painter
    assert painter is not None and painter.box == CROP
    color = torch.tensor([150.0, 90.0, 60.0])
    shown = (color / 127.5 - 1)[None, :, None, None].expand(1, 3, 16, 16)
    made = painter.paste(shown)[0].float()
    assert made.shape == (256, 256, 3)
    np.testing.assert_allclose(made[20:100, 80:170].mean((0, 1)), color, atol=1.5)
    around = made[150:190, 40:200].mean((0, 1)).numpy()
    # The bars darken the crop's mean by the same share for everybody.
    np.testing.assert_allclose(around, 20 + 0.5 * color.numpy() / 0.985, atol=4)
    np.testing.assert_allclose(made[210:235, 12:36].mean((0, 1)), [250, 240, 230], atol=2)


def test_networks_unit_and_colors_are_inverse_at_every_level(data: FaceDataset) -> None:
    painter = fresh(data).painter
    assert painter is not None and painter.deviation < 0.7
    for size in (8, 16):
        images = torch.rand(3, 3, size, size) * 1.6 - 0.8
        torch.testing.assert_close(painter.colors(painter.normalize(images)), images)
    raw = TextureModel(16, 20, 6)
    torch.testing.assert_close(raw.normalize(images), images)


def test_models_without_textures_say_so(data: FaceDataset) -> None:
    model = fresh(data, texture_size=0)
    assert (
        model.painter is None
        and "texture" not in model.to_generate(*(torch.zeros(1, k) for k in (20, 6, 5))).others
    )
    with pytest.raises(Unsupported, match="make textures"):
        model.texture(SimpleNamespace())  # type: ignore[arg-type]
    with pytest.raises(BadSetting, match="--textures"):
        fresh(tiny_data())
