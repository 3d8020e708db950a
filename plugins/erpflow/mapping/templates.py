"""Templates: named, reusable groups of transforms, for a field, a record or a batch.

A template is a file, `include/mappings/templates/<name>.yaml`, or plain data kept elsewhere with the same content. It
is read when something names it, so that a broken one harms only those who use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo

from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.forms import Given, ReadBy, RemotePath, Transforms, one_or_more, sentence, unknown
from erpflow.mapping.functions import BatchFunction, RecordFunction
from erpflow.mapping.kinds import Level
from erpflow.mapping.registry import REGISTRY
from erpflow.mapping.transforms import Origin, Transform, TransformUse, known_transforms, load_transforms
from erpflow.yaml_files.complaints import Problem, excerpt
from erpflow.yaml_files.explain import allowed, explained, plain_report, report
from erpflow.yaml_files.part import NAME_PATTERN, Part
from erpflow.yaml_files.reading import YamlFile, read_yaml

PAGE = "docs/reference-mapping.md"

if TYPE_CHECKING:
    from erpflow.mapping.model import Mapping as MappingFile

Kept = Mapping[str, Any]
"""Templates kept outside of files: name to content (level, description and the rest), as a file would have it."""


def _registered(kind: type[RecordFunction] | type[BatchFunction], name: Any, info: ValidationInfo) -> Any:
    templates: Templates | None = info.context
    known = REGISTRY.known(kind, templates.folder if templates is not None else None)
    if not isinstance(name, str) or name not in known:
        raise unknown(name, known)
    return known[name]


def _distinct(words: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise sentence(f'found "{twice}" a second time, allowed once')
    return words


OneRecordFunction = Annotated[RecordFunction, ReadBy(partial(_registered, RecordFunction))]
OneBatchFunction = Annotated[BatchFunction, ReadBy(partial(_registered, BatchFunction))]
Paths = Annotated[tuple[RemotePath, ...], BeforeValidator(one_or_more), Field(min_length=1), AfterValidator(_distinct)]
Names = Annotated[tuple[Given, ...], BeforeValidator(one_or_more), Field(min_length=1), AfterValidator(_distinct)]


class FieldTemplate(Part):
    """A chain of transforms for the value of one field."""

    level: Literal[Level.FIELD]
    description: str = ""
    transform: Annotated[Transforms, Field(min_length=1)]


class RecordTemplate(Part):
    """Several values out of several: `reads` are paths of the record or names given before, `gives` names."""

    level: Literal[Level.RECORD]
    description: str = ""
    function: OneRecordFunction
    reads: Paths
    gives: Names


class BatchTemplate(Part):
    """The rows of a chunk, all at once."""

    level: Literal[Level.BATCH]
    description: str = ""
    function: OneBatchFunction


Parts = FieldTemplate | RecordTemplate | BatchTemplate
MODELS: dict[Level, type[FieldTemplate] | type[RecordTemplate] | type[BatchTemplate]] = {
    Level.FIELD: FieldTemplate,
    Level.RECORD: RecordTemplate,
    Level.BATCH: BatchTemplate,
}


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template.

    `definition` is its content without level and description. `file` is None for one that is kept elsewhere; `lines`
    are those of the steps of a field template in its file.
    """

    name: str
    level: Level
    description: str
    definition: Mapping[str, Any]
    parts: Parts
    file: Path | None = None
    lines: tuple[int, ...] = ()


@dataclass(slots=True)
class Templates:
    """The templates that the files of one folder of mappings may name, and the functions beside them.

    `folder` is where the user's functions were read from, None when there are none.
    """

    folder: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)
    kept: Kept = field(default_factory=dict)
    _found: dict[str, Template | ConfigError] = field(default_factory=dict)
    _chains: dict[str, tuple[TransformUse, ...]] = field(default_factory=dict)
    _opening: list[str] = field(default_factory=list)

    @property
    def transforms(self) -> Mapping[str, Transform]:
        """The transforms there are."""
        return known_transforms(self.folder)

    def add_file(self, path: Path) -> None:
        """Take a file in; the template is called like the file, and of two files of one name neither counts."""
        first = self.files.setdefault(path.stem, path)
        if first != path:
            self._found[path.stem] = ConfigError(f"{path}: {first.name} is a template of this name too, allowed one")

    def names(self) -> list[str]:
        """The names of all, broken ones too."""
        return sorted({*self.files, *self.kept})

    def get(self, name: str) -> Template:
        """The template called `name`. Raises ConfigError with every mistake in it, or when there is none."""
        if name not in self.files and name not in self.kept:
            raise ConfigError(f'There is no template "{name}"{suggestion(name, self.names())}')
        if name not in self._found:
            self._opening.append(name)
            try:
                self._found[name] = self._read(name)
            except ConfigError as error:
                self._found[name] = error
            finally:
                self._opening.pop()
        found = self._found[name]
        if isinstance(found, ConfigError):
            raise found
        return found

    def of_level(self, level: Level) -> list[str]:
        """The names of the templates that say they are of this level; nothing else of them is looked at."""
        return [name for name in self.names() if self._level_of(name) == level]

    def template(self, name: Any, level: Level) -> Template:
        """The template of that name and level. Raises pydantic's error, which says what is wrong with the name."""
        if not isinstance(name, str) or (name not in self.files and name not in self.kept):
            raise unknown(name, self.of_level(level))
        if name in self._opening:
            circle = " → ".join([*self._opening[self._opening.index(name) :], name])
            raise sentence(f'found "{name}", which leads back to itself ({circle}), allowed a chain that ends')
        try:
            found = self.get(name)
        except ConfigError as error:
            first, _, more = str(error).partition("\n")
            rest = f" (and {len(more.splitlines())} more)" if more else ""
            raise sentence(f'found the template "{name}", which cannot be used: {first}{rest}') from None
        if found.level is not level:
            others = ", ".join(self.of_level(level)) or "none is there"
            raise sentence(f'found "{name}", a template of level {found.level}, allowed one of level {level}: {others}')
        return found

    def chain(self, name: Any) -> tuple[TransformUse, ...]:
        """The transforms of a field template, each with where it came from. Raises pydantic's error."""
        template = self.template(name, Level.FIELD)
        if name not in self._chains:
            steps = cast("FieldTemplate", template.parts).transform
            self._chains[name] = tuple(replace(use, origin=_within(template, use)) for use in steps)
        return self._chains[name]

    def _level_of(self, name: str) -> Any:
        try:
            data = read_yaml(self.files[name], page=PAGE).data if name in self.files else self.kept[name]
        except ConfigError:
            return None
        return data.get("level") if isinstance(data, dict) else None

    def _read(self, name: str) -> Template:
        if name not in self.files:
            data = self.kept[name]
            parts, problems = _checked(name, data, self)
            lines = plain_report(f"template {name}", problems)
        else:
            file = read_yaml(self.files[name], page=PAGE)
            data = file.data
            parts, problems = _checked(name, data, self)
            lines = report(file, problems)
        if parts is None or lines:
            raise ConfigError("\n".join(lines))
        template = Template(
            name=name,
            level=parts.level,
            description=parts.description,
            definition={key: value for key, value in data.items() if key not in ("level", "description")},
            parts=parts,
        )
        return replace(template, file=file.path, lines=_lines(file, parts)) if name in self.files else template


def _checked(name: str, data: Any, templates: Templates) -> tuple[Parts | None, list[Problem]]:
    problems = []
    if re.match(NAME_PATTERN, name) is None:
        problems.append(Problem((), f'found the name "{name}", allowed small letters, digits and _'))
    level = data.get("level") if isinstance(data, dict) else None
    if not isinstance(data, dict):
        problems.append(Problem((), f"found {excerpt(data)}, allowed a table of keys: level, description, …"))
    elif not isinstance(level, str) or level not in MODELS:
        problems.append(Problem(("level",), f"found {excerpt(level)}{allowed(str(level), list(Level))}"))
    else:
        model = MODELS[Level(level)]
        try:
            return model.model_validate(data, context=templates), problems
        except ValidationError as error:
            problems += explained(data, error, lambda _: model)
    return None, problems


def _lines(file: YamlFile, parts: Parts) -> tuple[int, ...]:
    steps = parts.transform[-1].number + 1 if isinstance(parts, FieldTemplate) else 0
    return tuple(file.line_of(("transform", number)) for number in range(steps))


def _within(template: Template, use: TransformUse) -> Origin:
    """The origin of a step of a template, for the chain that names this template."""
    inner = use.origin
    if inner is not None:
        return Origin((template, *inner.templates), inner.place)
    return Origin((template,), f"{template.file}:{template.lines[use.number]}" if template.file else "")


def find_templates(folder: Path, *, transforms: Path | None = None, kept: Kept | None = None) -> Templates:
    """The templates of `folder`, `<name>.yaml`, and those `kept` elsewhere; a file comes before a kept one.

    `transforms` is the folder of the user's functions; by default `transforms` beside the `mappings` folder that
    `folder` is in. Raises ConfigError when a file of functions cannot be run; what is wrong with a template is said
    when it is named.
    """
    beside = (transforms or folder.resolve().parent.parent / "transforms").resolve()
    if beside.is_dir():
        load_transforms(beside)
    templates = Templates(folder=beside, kept=kept or {})
    for path in sorted(path for pattern in ("*.yaml", "*.yml") for path in folder.glob(pattern)):
        templates.add_file(path)
    return templates


def parse_template(data: Any, *, name: str, templates: Templates | None = None) -> Template:
    """The checked template of plain data (an API body).

    `templates` are those that it may name itself, with the functions beside them. Raises ConfigError with a line for
    every mistake.
    """
    among = templates or Templates()
    files = {other: path for other, path in among.files.items() if other != name}
    return Templates(among.folder, files, {**among.kept, name: data}).get(name)


def problems_of(data: Any, *, name: str, templates: Templates) -> list[Problem]:
    """Everything that is wrong with the plain data of a template, each with the key it is about."""
    among = Templates(templates.folder, dict(templates.files), {**templates.kept, name: data}, _opening=[name])
    return _checked(name, data, among)[1]


def templates_used(mapping: MappingFile) -> list[Template]:
    """The templates a mapping uses, each once, those of field templates included: by level, then by name."""
    origins = (use.origin for spec in mapping.specs() for use in spec.transform if use.origin is not None)
    found = [template for origin in origins for template in origin.templates]
    found += [use.template for use in mapping.record] + [use.template for use in mapping.batch]
    order = list(Level)
    return sorted({one.name: one for one in found}.values(), key=lambda one: (order.index(one.level), one.name))
