"""Sessions to groups and their *cells*: the whole numbers that a table's columns are computed from. SQL of the inner
levels of a statement; tables.py makes the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from afterfact_protocol.query.columns import Unknown, nullable, sources
from afterfact_protocol.query.functions import EITHER
from afterfact_protocol.query.nodes import Column, Derived, Either, Far, Measure
from afterfact_protocol.query.stagenodes import MONDAY, WEEK, Key, Table
from afterfact_protocol.session import BY_NAME, Kind
from afterfact_server.query.compile import TABLE
from afterfact_server.query.computed import absent_mask, derived
from afterfact_server.query.conditions import far_end
from afterfact_server.query.parameters import Parameters

_LARGEST = str(2**64 - 1)
_MICROSECONDS = "toUnixTimestamp64Micro"


@dataclass(slots=True)
class CellOf:
    """One number of a group."""

    made: str
    """SQL over the sessions of a group."""
    merge: str
    """Aggregate that makes one of several groups' numbers, `{}` being the cell."""
    use: str = "{}"
    """The number of one group, `{}` being the cell."""


@dataclass(slots=True)
class Groups:
    """The groups of one table. Once `parts` of all its columns are asked for, `grouped` is the SQL."""

    table: Table
    sensors: Mapping[str, int]
    parameters: Parameters
    cells: dict[str, CellOf] = field(default_factory=dict)
    """By name."""
    names: dict[str, str] = field(default_factory=dict)
    """Names of cells by their SQL."""

    # --- groups and their cells

    def _key(self, key: Key) -> tuple[str, str]:
        """SQL of a key's value, and of whether it is NULL."""
        if isinstance(key, Far):
            return far_end(key, self.parameters), "0"
        mask = absent_mask(key)
        null = f"bitAnd(absent, {mask}) != 0" if mask else "0"
        if isinstance(key, Derived):
            return (f"if({null}, 0, {derived(key)})" if mask else derived(key)), null
        time = BY_NAME[key.name].kind is Kind.TIME
        return (f"{_MICROSECONDS}({key.name})" if time else key.name), null

    def _cell(self, made: str, merge: str, use: str = "{}") -> str:
        """The name of a cell; the same for the same SQL."""
        if made not in self.names:
            self.names[made] = f"x{len(self.names)}"
            self.cells[self.names[made]] = CellOf(made, merge, use)
        return self.names[made]

    def _enter_totals(self) -> None:
        if self.table.periodic:
            return
        for name, made, merge in (("n", "count()", "sum({})"), ("low", "min(sensor)", "min({})"),
                                  ("high", "max(sensor)", "max({})")):  # fmt: skip
            self.cells[name] = CellOf(made, merge)
            self.names[made] = name

    def _unknown(self, source: Unknown) -> str:
        mask = sum(1 << BY_NAME[name].id for name in nullable(source.operand))
        return self._cell(f"countIf(bitAnd(absent, {mask}) != 0)", "sum({})")

    def _parts(self, measure: Measure) -> dict[str, str]:
        """The cells of a measure: its `value` and whether it is `known`, or how often; of jitter the `deviation`."""
        if self.table.periodic:
            return self._periodic_parts(measure)
        start, end = f"{_MICROSECONDS}(min(start_time))", f"{_MICROSECONDS}(max(end_time))"
        match measure.function:
            case "count":
                return {"value": "n"}
            case "first":
                return {"value": self._cell(start, "min({})"), "known": "n"}
            case "last":
                return {"value": self._cell(end, "max({})"), "known": "n"}
        operand = measure.operand
        assert operand is not None, "the others are asked of something"
        if measure.function == "distinct":
            return {"value": self._distinct(operand)}
        sides = [self._side(name) for name in _side_names(operand)] if isinstance(operand, Either) else [
            self._side(operand)
        ]  # fmt: skip
        known = self._cell(" + ".join(f"countIf({check})" if check else "count()" for _, check in sides), "sum({})")
        values = [value for value, _ in sides]
        match measure.function:
            case "sum" | "avg":
                # What is absent is stored as 0; only what is computed of it is not.
                added = " + ".join(f"toInt128({value})" for value in values)
                made = f"sum({added})"
                if isinstance(operand, Derived) and sides[0][1]:
                    made = f"sumIf({added}, {sides[0][1]})"
                return {"value": self._cell(made, "sum({})"), "known": known}
            case "max":
                plain = [f"if({check}, {value}, 0)" if check and isinstance(operand, Derived) else value
                         for value, check in sides]  # fmt: skip
                made = plain[0] if len(plain) == 1 else f"greatest({', '.join(plain)})"
                return {"value": self._cell(f"max({made})", "max({})"), "known": known}
            case _:
                checked = [f"if({check}, toUInt64({value}), {_LARGEST})" if check else value for value, check in sides]
                made = checked[0] if len(checked) == 1 else f"least({', '.join(checked)})"
                return {"value": self._cell(f"min({made})", "min({})"), "known": known}

    def _side(self, operand: "Column | Either | Derived | Far") -> tuple[str, str]:
        """SQL of an operand's value, and of whether it is known; empty if it always is."""
        if isinstance(operand, Far):
            return far_end(operand, self.parameters), ""
        assert not isinstance(operand, Either), "taken apart by the caller"
        mask = absent_mask(operand)
        sql = derived(operand) if isinstance(operand, Derived) else operand.name
        if isinstance(operand, Column) and BY_NAME[operand.name].kind is Kind.TIME:
            sql = f"{_MICROSECONDS}({sql})"
        return sql, f"bitAnd(absent, {mask}) = 0" if mask else ""

    def _distinct(self, operand: "Column | Either | Derived | Far") -> str:
        if isinstance(operand, Either):
            listed = [self._side(name) for name in _side_names(operand)]
            if any(check for _, check in listed):
                arrays = ", ".join(f"if({check}, [{value}], [])" if check else f"[{value}]" for value, check in listed)
                arguments = f"arrayConcat({arrays})"
            else:
                arguments = f"[{', '.join(value for value, _ in listed)}]"
            function = "uniqExactArray"
        else:
            value, check = self._side(operand)
            function, arguments = ("uniqExactIf", f"{value}, {check}") if check else ("uniqExact", value)
        if self.table.top is None:
            return self._cell(f"{function}({arguments})", "")
        return self._cell(f"{function}State({arguments})", f"{function}Merge({{}})", "finalizeAggregation({})")

    def _grouped(self, keys: list[tuple[str, str]], found: str) -> str:
        selected = [part for at, (sql, null) in enumerate(keys) for part in (f"{sql} AS k{at}", f"{null} AS n{at}")]
        by = [name for at in range(len(keys)) for name in (f"k{at}", f"n{at}")]
        every = self.table.every
        if every is not None:
            offset = self.parameters.bind(MONDAY if every % WEEK == 0 else 0, "Int64")
            start, length = f"{_MICROSECONDS}(start_time)", self.parameters.bind(every, "Int64")
            selected.append(f"toInt64({start} - positiveModulo({start} - {offset}, {length})) AS t")
            by.append("t")
        for source in sources(self.table):
            if isinstance(source, Unknown):
                self._unknown(source)
        selected += [f"{cell.made} AS {name}" for name, cell in self.cells.items()]
        grouping = f" GROUP BY {', '.join(by)}" if by else ""
        return f"SELECT {', '.join(selected)} FROM {TABLE} FINAL WHERE {found}{grouping}"

    # --- PERIODIC

    def _periodic(self, keys: list[tuple[str, str]], found: str) -> str:
        """Starts by group and sensor; what they measure; of each group that of the sensor with the most of them."""
        selected = [part for at, (sql, null) in enumerate(keys) for part in (f"{sql} AS k{at}", f"{null} AS n{at}")]
        names = ", ".join(name for at in range(len(keys)) for name in (f"k{at}", f"n{at}"))
        starts = (
            f"SELECT {', '.join(selected)}, sensor AS seen_by, arraySort(groupArray({_MICROSECONDS}(start_time))) AS "
            f"starts, {_MICROSECONDS}(max(end_time)) AS ended FROM {TABLE} FINAL WHERE {found} "
            f"GROUP BY {names}, seen_by"
        )
        median = "arrayReduce('quantileExactLow(0.5)', {})"
        measured = (
            f"SELECT {names}, seen_by, length(starts) AS m, starts[1] AS began, ended, "
            "arrayPopFront(arrayDifference(starts)) AS gaps, "
            f"if(m > 1, toInt64({median.format('gaps')}), 0) AS between, "
            f"if(m > 1, toInt64({median.format('arrayMap(gap -> toInt64(abs(gap - between)), gaps)')}), 0) AS off "
            f"FROM ({starts})"
        )
        # The most starts, of as many the lower sensor: in one whole number, for a tuple takes eight times as long.
        most = "argMax({}, m * 65536 + 65535 - seen_by)"
        cells = {
            "beats": (most.format("m"), "sum({})"),
            "known": (f"toUInt8({most.format('m')} > 1)", "if(any(rank) > {top}, 0, any({}))"),
            "period": (most.format("between"), "if(any(rank) > {top}, 0, any({}))"),
            "deviation": (most.format("off"), "if(any(rank) > {top}, 0, any({}))"),
            "first": (most.format("began"), "min({})"),
            "last": (most.format("ended"), "max({})"),
            "n": ("sum(m)", "sum({})"),
            "low": ("min(seen_by)", "min({})"),
            "high": ("max(seen_by)", "max({})"),
        }
        top = str(self.table.top)
        self.cells = {name: CellOf(made, merge.replace("{top}", top)) for name, (made, merge) in cells.items()}
        made = ", ".join(f"{cell.made} AS {name}" for name, cell in self.cells.items())
        return f"SELECT {names}, {made} FROM ({measured}) GROUP BY {names}"

    def _periodic_parts(self, measure: Measure) -> dict[str, str]:
        match measure.function:
            case "n":
                return {"value": "beats"}
            case "period":
                return {"value": "period", "known": "known"}
            case "jitter":
                return {"deviation": "deviation", "period": "period", "known": "known"}
            case _:
                return {"value": measure.function}

    def _use(self, cell: str) -> str:
        """SQL of a cell's number."""
        return self.cells[cell].use.format(cell) if cell in self.cells else cell


def _side_names(operand: Either) -> list[Column]:
    return [Column(side[0]) for side in EITHER[operand.name].sides]
