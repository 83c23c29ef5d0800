"""Components of the user's own: settings as the signature has them, and the class made of them.

Owns what all kinds of own components share. Which parameters the program gives is the kind's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import Field, create_model
from pydantic.config import JsonDict

from runner.components.component import PATH_FIELD, Component
from runner.components.own.annotations import as_annotated
from runner.components.own.declared_files import check_unchanged
from runner.components.own.installed import find_installed
from runner.components.own.loading import OwnModules, failed
from runner.components.own.local_files import LocalFiles, read_local_files, read_package_files
from runner.components.own.names import CodeName, PackageName, parse_code_name
from runner.components.own.opened_files import undeclared
from runner.components.own.permission import permission
from runner.components.own.problems import CodeProblem, OwnCodeFailed
from runner.components.own.signature import (
    REQUIRED,
    Parameter,
    Signature,
    read_signature,
)
from runner.core.errors import SourcePosition

Own = TypeVar("Own", bound="OwnComponent")


class OwnClass:
    """A class of the user's own: its signature, and how it is imported.

    Attributes:
        name: in specs.
        attribute: the class in its module.
        signature: what it takes.
    """

    def __init__(
        self,
        name: CodeName | PackageName,
        attribute: str,
        signature: Signature,
        modules: OwnModules,
    ) -> None:
        self.name, self.attribute, self.signature = name, attribute, signature
        self._modules = modules

    @property
    def files(self) -> LocalFiles:
        """What it is read from."""
        return self._modules.files

    def unnamed(self, opened: set[str], named: tuple[Path, ...]) -> list[str]:
        """Return files that an instance was seen to read, and does not name.

        What was read once for all instances of this process, when modules were imported or by a
        cache, is to be named by one of them.

        Args:
            opened: files that it was seen to read.
            named: those that it says it reads.
        """
        modules, declared = self._modules, {each.path for each in self.files.declared}
        modules.opened |= opened
        modules.named |= {*named, *declared}
        return undeclared(opened, {*named, *declared}) or undeclared(modules.opened, modules.named)

    def __call__(self, **arguments: Any) -> Any:
        """Return an instance.

        Raises:
            OwnCodeFailed: when importing or building it raises an error, or a file that it reads
                has changed since it was hashed.
        """
        made = self._modules.attribute(self.attribute)
        if not isinstance(made, type):
            raise OwnCodeFailed(f"'{self.name}' is no class once it is imported")
        try:
            instance = made(**arguments)
        except (Exception, SystemExit) as error:
            raise failed(f"'{self.name}' cannot be built", error) from error
        check_unchanged(self.files.declared)
        return instance


class OwnComponent(Component):
    """A class in a Python file that is allowed with `--code`, or that an installed package offers.

    Its settings are the parameters of its `__init__` that have an annotation; they are read from
    the text.
    """

    own: ClassVar[OwnClass]
    unreadable: ClassVar[tuple[str, SourcePosition] | None] = None
    """The first thing in the code whose effect no digest holds, and where it stands."""
    beyond_files: ClassVar[tuple[str, SourcePosition] | None] = None
    """The first of these that does not read a file."""
    GIVEN: ClassVar[tuple[str, ...]] = ()
    """Parameters that are no settings: the program gives them."""
    NEEDED: ClassVar[tuple[str, ...]] = ()
    """Parameters that the class must have: of those given, and of the kind's own settings."""
    TAG: ClassVar[str] = "name"
    """The setting by which a spec chooses it."""
    IN_KEYS: ClassVar[bool] = True
    """Whether a run is another one where the code is; not where what it yields is in the keys."""
    PATHS: ClassVar[bool] = False
    """Whether parameters may be paths of files and folders."""

    code: str = Field(
        min_length=1,
        max_length=64,
        description="digest of the file and of the local modules that it imports; filled in",
    )
    version: int | None = Field(
        None,
        ge=0,
        le=1 << 31,
        description="raised by hand where the code does what no digest can hold, as `exec`",
        json_schema_extra={"neutral": None},
    )

    def make(self, **given: Any) -> Any:
        """Return an instance of the class, given its settings and what the program gives.

        Args:
            given: by the names of parameters; of settings that are paths, where they lead.

        Raises:
            OwnCodeFailed: when own code raises an error.
        """
        signature = self.own.signature
        settings = {
            name: given[name]
            if parameter.is_path
            else as_annotated(parameter.written, getattr(self, name))
            for name, parameter in signature.settings.items()
        }
        return self.own(**settings, **{name: given[name] for name in signature.given})


def own_class(kind: type[Own], text: str) -> type[Own]:
    """Return the settings class of own code that a spec names; read once in an invocation.

    Args:
        kind: what it is to be.
        text: its name.

    Raises:
        CodeProblem: when it is not allowed, not there, or cannot have settings.
    """
    name, allowed = parse_code_name(text), permission()
    known = allowed.classes
    if (kind, name) not in known:
        try:
            known[kind, name] = _read(kind, name)
        except CodeProblem as problem:
            if not allowed.roots:
                raise
            known[kind, name] = problem
    found = known[kind, name]
    if isinstance(found, CodeProblem):
        raise found
    return cast(type[Own], found)


def known_classes() -> list[type[OwnComponent]]:
    """Return the classes of own code that this invocation has named so far."""
    return [each for each in permission().classes.values() if isinstance(each, type)]


def _read(kind: type[Own], name: CodeName | PackageName) -> type[Own]:
    allowed = permission()
    if isinstance(name, PackageName):
        package = find_installed(name)
        files, attribute = read_package_files(package), package.attribute
    else:
        files, attribute = read_local_files(*allowed.find(name)), name.attribute
    modules = allowed.modules.setdefault((files.file.path, files.digest), OwnModules(files))
    signature = read_signature(files.file, attribute, kind.GIVEN, kind.PATHS)
    fields: dict[str, Any] = {}
    for needed in kind.NEEDED:
        if needed not in signature.settings and needed not in signature.given:
            found = f"__init__ of {attribute} has no parameter {needed}"
            raise CodeProblem(found, ", ".join(kind.NEEDED), position=signature.position)
    for setting, parameter in signature.settings.items():
        annotation = parameter.annotation
        if setting in kind.NEEDED:
            info = kind.model_fields[setting]
            annotation = Annotated[(info.annotation, *info.metadata)]
        else:
            _check_name(kind, setting, parameter)
        fields[setting] = (annotation, _field(kind, name, parameter))
    made = create_model(
        attribute,
        __base__=kind,
        __module__=kind.__module__,
        **{
            kind.TAG: (cast(Any, Literal[str(name)]), ...),
            "code": (str, _code_field(kind, files.digest)),
            **fields,
        },
    )
    made.own = OwnClass(name, attribute, signature, modules)
    made.unreadable, made.beyond_files = files.unreadable, files.beyond_files
    return made


def _field(kind: type[OwnComponent], name: CodeName | PackageName, parameter: Parameter) -> Any:
    extra: JsonDict | None = None
    if parameter.is_path:
        extra = PATH_FIELD
    elif not kind.IN_KEYS and parameter.default is not REQUIRED:
        # a parameter that is added to the code with a default is no other data
        extra = {"neutral": _as_json(parameter.default)}
    default = ... if parameter.default is REQUIRED else parameter.default
    described = parameter.about or f"a setting of {name}"
    return Field(default, description=described, json_schema_extra=extra)


def _as_json(value: Any) -> Any:
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


def _code_field(kind: type[OwnComponent], digest: str) -> Any:
    known = kind.model_fields["code"]
    return Field(digest, description=known.description, json_schema_extra=known.json_schema_extra)


def _check_name(kind: type[OwnComponent], setting: str, parameter: Parameter) -> None:
    is_taken = setting in {*kind.model_fields, *kind.__class_vars__} or hasattr(kind, setting)
    if is_taken or setting == kind.TAG or setting.startswith(("_", "model_")):
        found = f"{setting} cannot be a setting of own code: the name has another meaning"
        raise CodeProblem(found, hint="rename the parameter", position=parameter.position)
