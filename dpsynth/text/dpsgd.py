"""DP-SGD fine-tuning of a public language model: noisy steps on private texts, then as many texts as one likes.

    made    = DPSGD(model="tiny", length=128)
    author  = made.learn(corpus, task, made.settle(task, budget), released, noise=SystemNoise(), progress=silent)
    written = author.write(500, np.random.default_rng())

Abadi et al. 2016 on causal language models (Yu et al. 2022, Li et al. 2022), conditioned on topics whose shares were
released (CTCL, Tan et al. 2025). A record is one text: never packed with others, its loss the mean over its own tokens,
cut to `length` tokens, which is public. Every unit joins a step's sample on its own with one probability; all texts of
a unit join together and are clipped together (`dpsynth.sgd`). What a run spends does not depend on the texts, their
number or their length. Whether all parameters or LoRA factors are trained, and by which engine, is in `describe`.

>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> task = Task(unit=PrivacyUnit(), relation=NeighboringRelation.ADD_REMOVE, epsilon=Decimal(8), delta=Decimal("1e-5"))
>>> DPSGD(steps=40).settle(task, budget=1.0).describe()["sigma"]
'1'

Not guaranteed: that the model and its tokenizer are public; whoever names them says so. That texts are good: with few
texts or little epsilon they are the public model's. That nobody learns from outside how long a step took.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource, SystemNoise
from dpsynth.core.progress import Progress
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.torch_present import require_torch
from dpsynth.sgd.training import Units, train
from dpsynth.tabular.allocation import five_digits
from dpsynth.text.backends.generation import generate
from dpsynth.text.backends.protocol import LanguageModel, Trainable
from dpsynth.text.corpus import Corpus
from dpsynth.text.protocol import Released, Settled, Task
from dpsynth.text.structure.protocol import Structure
from dpsynth.text.training.author import FineTuned, Sampling
from dpsynth.text.training.prompts import MOST, as_seen, prompts
from dpsynth.text.training.rows import Layout
from dpsynth.text.training.settings import CLIP, LARGEST, PROBABILITY, RATES, STEPS, SettledSteps

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints
    from dpsynth.text.training.causal_network import Engine


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DPSGD:
    """Fine-tunes a language model.

    Args:
        model: the public model: its name, its folder, or itself.
        method: what is trained: full, lora, or auto by the model's size.
        rank: of LoRA's factors.
        length: tokens that a text is cut to, in training and in writing.
        steps: noisy steps.
        probability: with which every unit joins a step's sample.
        clip: largest norm of a unit's gradient.
        rate: learning rate at the first step; the method's own if left out.
        temperature, top_k: of writing; see `author.Sampling`.
        structure: a form that written texts must have.
        device: where it is trained and writes: auto, cpu, cuda, or a GPU by number such as cuda:1.
        engine: how clipped sums are found: auto, book-keeping or hooks; see `training.causal_network`.
        every: steps between two checkpoints.
    """

    name: ClassVar[str] = "dpsgd"
    model: str | LanguageModel = "tiny"
    method: str = "auto"
    rank: int = 8
    length: int = 128
    steps: int = STEPS
    probability: Decimal = PROBABILITY
    clip: Decimal = CLIP
    rate: float | None = None
    temperature: float = 1.0
    top_k: int | None = None
    structure: Structure | None = field(default=None, repr=False)
    device: str = "auto"
    engine: str = "auto"
    every: int = 10

    @property
    def bracket(self) -> tuple[float, float]:
        """Noise of ten clips to half a clip."""
        return 1e-2, 4.0

    def settle(self, task: Task, budget: float) -> SettledSteps:  # noqa: ARG002
        """Noise of `budget ** -1/2` clips in every step.

        Raises:
            ParameterError: a probability, clip, number of steps or length that there is not.
        """
        self._check_settings()
        schedule = Schedule(
            probability=Decimal(str(self.probability)),
            steps=self.steps,
            sigma=five_digits(budget**-0.5),
            clip=Decimal(str(self.clip)),
        )
        return SettledSteps(schedule=schedule, length=self.length)

    def check(self, task: Task, settled: Settled) -> None:  # noqa: ARG002
        """Refuse what cannot be trained here, before anything is paid for.

        Raises:
            ParameterError: no PyTorch, no such GPU, a model without weights, one whose context is shorter than prompt
                and text, one that cannot be trained privately, or noise beyond use.
        """
        sigma = _own(settled).schedule.sigma
        if sigma > LARGEST:
            raise ParameterError(
                f"This budget affords noise of {sigma} times the clip a step, which teaches nothing.",
                "Ask for fewer steps, a smaller probability, or more epsilon.",
            )
        from dpsynth.sgd.device import device
        from dpsynth.text.training.trainable import method_for

        require_torch()
        device(self.device)
        base = self._base()
        if self.length + MOST > base.context:
            raise ParameterError(
                f"{base.name} reads {base.context} tokens; texts of {self.length} and a topic of up to {MOST} do not "
                "fit.",
                "Ask for a smaller length, or use a model with a longer context.",
            )
        if method_for(base.module, self.method) == "lora" and find_spec("peft") is None:
            raise ParameterError(
                "Training by LoRA needs peft, which is not installed.", "Install it: pip install 'dpsynth[text]'."
            )
        self._engine(base, ("", "topic " * MOST))  # as wide as a prompt can be

    def learn(
        self,
        corpus: Corpus,
        task: Task,  # noqa: ARG002
        settled: Settled,
        released: Released,
        *,
        noise: NoiseSource,
        progress: Progress,
        checkpoints: Checkpoints | None = None,
    ) -> FineTuned:
        """Train on the texts; see `protocol.Writer.learn`.

        Raises:
            ParameterError: the model cannot be trained privately; nothing was read then.
            ModelError: a trainable tensor stood still, or parameters left the finite numbers.
        """
        from dpsynth.sgd.arrays import on_cpu
        from dpsynth.sgd.device import device
        from dpsynth.text.training.trainable import method_for, require_moved, trained_arrays

        schedule, base, place = _own(settled).schedule, self._base(), device(self.device)
        method = method_for(base.module, self.method)
        layout = Layout(length=self.length, vocabulary=base.vocabulary, end=base.end)
        module, engine = self._engine(base, released.topics)
        network = engine.network
        before = {name: on_cpu(p).copy() for name, p in network.parameters.items()}
        if isinstance(noise, ReplayedNoise):
            noise = SystemNoise()  # a run that goes on repeats its measurements, never its steps
        rows = layout.rows(corpus.texts, corpus.topics, base.tokens)
        event = train(
            network,
            Units.of(rows, corpus.units),
            schedule,
            size=released.total,
            rate=self.rate or RATES[method],
            noise=noise,
            progress=_told(progress, float(schedule.probability) * released.total * self.length),
            checkpoints=checkpoints,
            every=self.every,
            run=repr((released.total, released.topics, self.length, self.rate)),
        )
        trained = trained_arrays(module, network.parameters)
        require_moved(before, trained)
        facts = {
            **self.describe(),
            **_own(settled).describe(),
            "method": method,
            "engine": engine.name,
            "trained_parameters": sum(array.size for array in trained.values()),
            "rate": self.rate or RATES[method],
        }
        if engine.reason is not None:
            facts["engine_reason"] = engine.reason
        if method == "lora":
            facts["rank"] = self.rank
        return FineTuned(
            events=(event,),
            base=base,
            method=method,
            rank=self.rank,
            trained=trained,
            topics=released.topics,
            shares=released.shares,
            sampling=Sampling(
                length=self.length, temperature=self.temperature, top_k=self.top_k, structure=self.structure
            ),
            place=str(place),
            facts=facts,
        )

    def public_texts(self, count: int, rng: np.random.Generator) -> list[str]:
        """Texts of the public model as it was."""
        base = self._base()
        given = prompts(base, ("",)) * count
        return generate(base, given, most=self.length, temperature=self.temperature, top_k=self.top_k, rng=rng)

    def describe(self) -> Mapping[str, Any]:
        """The public model by name and fingerprint, and how texts are drawn."""
        base = self._base()
        facts: dict[str, Any] = {
            "model": base.name,
            "fingerprint": base.fingerprint,
            "method": self.method,
            "temperature": self.temperature,
        }
        if self.top_k is not None:
            facts["top_k"] = self.top_k
        if self.structure is not None:
            facts["structure"] = self.structure.describe()
        return facts

    def _engine(self, base: Trainable, topics: tuple[str, ...]) -> tuple[Any, Engine]:
        """A copy of the model's module with what is trained, and its clipped sums, tried on made-up rows.

        Raises:
            ParameterError: the model cannot be trained privately.
        """
        from dpsynth.sgd.device import device
        from dpsynth.text.training.causal_loss import CausalLoss
        from dpsynth.text.training.causal_network import engine_for
        from dpsynth.text.training.trainable import method_for, trainable

        layout = Layout(length=self.length, vocabulary=base.vocabulary, end=base.end)
        given = [as_seen(base, prompt) for prompt in prompts(base, topics)]
        method = method_for(base.module, self.method)
        module = trainable(base.module, method, rank=self.rank, device=device(self.device))
        loss = CausalLoss(given, vocabulary=base.vocabulary, end=base.end)
        return module, engine_for(module, loss, layout, engine=self.engine)

    def _base(self) -> Trainable:
        """The public model, loaded once.

        Raises:
            ParameterError: it has no weights to train.
        """
        made: Any = _loaded(self.model, self.device) if isinstance(self.model, str) else self.model
        if not hasattr(made, "with_module"):
            raise ParameterError(
                f"{made.name} has no weights that could be fine-tuned.", "Use method private-prediction, or a model."
            )
        trainable: Trainable = made
        return trainable

    def _check_settings(self) -> None:
        for name, value, least in (("length", self.length, 1), ("rank", self.rank, 1), ("steps", self.steps, 1)):
            if value < least:
                raise ParameterError(f"Expected {name}={value} >= {least}.")
        if not self.temperature >= 0 or (self.top_k is not None and self.top_k < 1):
            raise ParameterError("Expected temperature >= 0 and top_k >= 1.")
        if self.rate is not None and not self.rate > 0:
            raise ParameterError(f"Expected rate={self.rate} > 0.")


@lru_cache(maxsize=2)
def _loaded(name: str, device: str) -> LanguageModel:
    from dpsynth.text.backends import load

    require_torch()
    return load(name, device=device)


def _own(settled: Settled) -> SettledSteps:
    if not isinstance(settled, SettledSteps):
        raise ParameterError("These events were settled by another writer.", "Call settle() of this one.")
    return settled


def _told(progress: Progress, tokens: float) -> Progress:
    """Tokens per second, as if every step's sample had its expected size and every text its full length.

    Args:
        progress: who is told.
        tokens: of a step, from released numbers alone.
    """
    began = time.monotonic()

    def tell(name: str, done: int, total: int, detail: str = "") -> None:  # noqa: ARG001
        seconds = max(time.monotonic() - began, 1e-9)
        progress(name, done, total, f"about {done * tokens / seconds:,.0f} tokens/s")

    return tell
