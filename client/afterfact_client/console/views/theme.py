"""Colours, fonts and sizes of the console, dark and light.

One accent colour for focus and selection. Outcomes have Okabe and Ito's palette (Color Universal Design, 2008), which
colour-blind analysts can tell apart, and always stand beside their word.
"""

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from afterfact_client.state.preferences import Theme
from afterfact_protocol.session import Outcome

SANS = ("Inter", "Noto Sans", "Segoe UI", "SF Pro Text", "Helvetica Neue", "Ubuntu", "DejaVu Sans")
MONO = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Consolas", "Noto Sans Mono", "Ubuntu Mono", "DejaVu Sans Mono")
ROW_SPACE = 8
"""Pixels of a row beyond its text: 20 at the standard size."""


@dataclass(frozen=True, slots=True)
class Colours:
    """One theme. Text colours have a contrast of at least 4.5 to 1 against `base` and `window` (WCAG 2, AA)."""

    window: str
    base: str
    stripe: str
    """Every other row."""
    raised: str
    """Headers, buttons, menus."""
    line: str
    text: str
    dim: str
    accent: str
    selected: str
    """Behind selected cells."""
    here: str
    """Behind the rest of the current row."""
    error: str
    warning: str
    warned: str
    """Behind a warning."""
    good: str
    keyword: str
    string: str
    number: str


DARK = Colours(
    window="#1a1d23", base="#13161b", stripe="#171a20", raised="#22262e", line="#2e343e", text="#d9dde4", dim="#8a93a1",
    accent="#4c9df3", selected="#23466e", here="#1f2731", error="#ff8660", warning="#f0b94a", warned="#2d2718",
    good="#3fc29a", keyword="#82b7f5", string="#8fd0a8", number="#e5bd7d",
)  # fmt: skip
LIGHT = Colours(
    window="#f3f4f6", base="#ffffff", stripe="#f8f9fb", raised="#e9ebef", line="#d3d8df", text="#1c2026", dim="#626b78",
    accent="#1464c8", selected="#c5dcf8", here="#edf3fb", error="#b83a00", warning="#7d5600", warned="#fdf3d9",
    good="#00724f", keyword="#1456ad", string="#1c6b3c", number="#8a4b00",
)  # fmt: skip

OUTCOME_COLOURS: dict[Outcome, str] = {
    Outcome.UNKNOWN: "#999999",
    Outcome.ATTEMPTED: "#E69F00",
    Outcome.REFUSED: "#D55E00",
    Outcome.UNREACHABLE: "#CC79A7",
    Outcome.OPENED: "#F0E442",
    Outcome.ONE_WAY: "#56B4E9",
    Outcome.BOTH_WAYS: "#009E73",
}
"""Okabe and Ito's; drawn as a mark beside the word, so that the word keeps the contrast of text."""
GROUP_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#D55E00")
OTHERS_COLOUR = "#999999"
"""Of the bars of a timeline that is stacked by something else; their names stand above them."""


class Look:
    """The theme and sizes in use. Views read it when they paint; `apply` changes it for all of them."""

    def __init__(self) -> None:
        self.colours = DARK
        self.text_px = 12
        self.sans = QFont()
        self.mono = QFont()
        self.advance = 7.0
        """Pixels from one monospaced character to the next; not whole."""

    @property
    def row_height(self) -> int:
        """Pixels of a table row."""
        return self.text_px + ROW_SPACE

    def smaller(self, font: QFont, by: int = 1) -> QFont:
        """A copy of a font, some pixels smaller."""
        copy = QFont(font)
        copy.setPixelSize(max(font.pixelSize() - by, 8))
        return copy

    def apply(self, application: QApplication, theme: Theme, text_px: int) -> None:
        """Dress the whole application."""
        self.colours = LIGHT if resolved(theme) == "light" else DARK
        self.text_px = text_px
        self.sans = _font(SANS, text_px + 1, QFont.StyleHint.SansSerif)
        self.mono = _font(MONO, text_px, QFont.StyleHint.Monospace)
        self.advance = QFontMetricsF(self.mono).horizontalAdvance("0" * 100) / 100
        application.setStyle("Fusion")
        application.setPalette(_palette(self.colours))
        # Under a style sheet widgets keep the font that they have.
        application.setStyleSheet("")
        application.setFont(self.sans)
        application.setStyleSheet(_sheet(self.colours, text_px))


def resolved(theme: Theme) -> Literal["dark", "light"]:
    """The theme to show; "system" asks the desktop, and is dark where that does not say."""
    if theme != "system":
        return theme
    return "light" if QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Light else "dark"


def _font(families: tuple[str, ...], pixels: int, hint: QFont.StyleHint) -> QFont:
    """The first of the families that is here; the system's own choice of the same kind after them."""
    font = QFont()
    here = set(QFontDatabase.families())
    font.setFamilies([name for name in families if name in here] or list(families[-1:]))
    font.setStyleHint(hint)
    font.setPixelSize(pixels)
    font.setFixedPitch(hint is QFont.StyleHint.Monospace)
    font.setFeature(QFont.Tag("tnum"), 1)
    # Ligatures would draw `!=` and `>=` as one sign, and columns would not line up.
    font.setFeature(QFont.Tag("calt"), 0)
    font.setFeature(QFont.Tag("liga"), 0)
    return font


def _palette(colours: Colours) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, colour in (
        (role.Window, colours.window),
        (role.WindowText, colours.text),
        (role.Base, colours.base),
        (role.AlternateBase, colours.stripe),
        (role.Text, colours.text),
        (role.Button, colours.raised),
        (role.ButtonText, colours.text),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
        (role.PlaceholderText, colours.dim),
        (role.Highlight, colours.selected),
        (role.HighlightedText, colours.text),
        (role.Accent, colours.accent),
        (role.Link, colours.accent),
        (role.BrightText, colours.error),
        (role.Light, colours.line),
        (role.Midlight, colours.line),
        (role.Mid, colours.line),
        (role.Dark, colours.line),
        (role.Shadow, colours.window),
    ):
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(colours.dim))
    return palette


def _sheet(colours: Colours, px: int) -> str:
    """What palettes cannot say. Names in quotes are those of views' objects."""
    return f"""
QToolTip {{ background: {colours.raised}; color: {colours.text}; border: 1px solid {colours.line}; padding: 3px; }}
QMenuBar {{ background: {colours.window}; }}
QMenuBar::item {{ padding: 3px 8px; background: transparent; }}
QMenuBar::item:selected {{ background: {colours.raised}; }}
QMenu {{ background: {colours.raised}; border: 1px solid {colours.line}; padding: 3px 0; }}
QMenu::item {{ padding: 3px 24px 3px 12px; }}
QMenu::item:selected {{ background: {colours.selected}; color: {colours.text}; }}
QMenu::item:disabled {{ color: {colours.dim}; }}
QMenu::separator {{ height: 1px; background: {colours.line}; margin: 3px 0; }}
QMenu::indicator {{ left: 6px; width: 13px; height: 13px; }}
QMenu::item:checked {{ font-weight: normal; }}
QStatusBar {{ background: {colours.window}; border-top: 1px solid {colours.line}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ padding: 0 6px; }}
QTabWidget::pane {{ border: none; }}
QTabWidget::tab-bar {{ left: 4px; }}
QTabBar::tab {{ background: transparent; color: {colours.dim}; padding: 4px 10px; border: none;
  border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {colours.text}; border-bottom: 2px solid {colours.accent}; }}
QTabBar::tab:hover {{ color: {colours.text}; }}
QHeaderView::section {{ background: {colours.raised}; color: {colours.text}; border: none;
  border-right: 1px solid {colours.line}; border-bottom: 1px solid {colours.line}; padding: 0 5px; }}
QTableCornerButton::section {{ background: {colours.raised}; border: none; border-bottom: 1px solid {colours.line}; }}
QTableView {{ border: none; border-top: 1px solid {colours.line}; }}
QListWidget {{ background: {colours.raised}; border: 1px solid {colours.line}; }}
QTreeWidget#plain {{ background: transparent; border: none; outline: none; }}
QTreeWidget#plain::item {{ padding: 2px 0; }}
QTreeWidget#plain::item:selected {{ background: {colours.selected}; color: {colours.text}; }}
QComboBox {{ border: 1px solid {colours.line}; border-radius: 3px; background: {colours.base}; padding: 4px 6px; }}
QComboBox:focus {{ border: 1px solid {colours.accent}; }}
QComboBox::drop-down {{ border: none; width: 18px; }}
QComboBox::down-arrow {{ width: 0; height: 0; margin-right: 6px; border-left: 4px solid {colours.base};
  border-right: 4px solid {colours.base}; border-top: 5px solid {colours.dim}; }}
QCheckBox::indicator {{ width: 11px; height: 11px; border: 1px solid {colours.dim}; border-radius: 2px;
  background: {colours.base}; }}
QCheckBox::indicator:checked {{ background: {colours.accent}; border: 1px solid {colours.accent}; }}
QCheckBox::indicator:focus {{ border: 1px solid {colours.accent}; }}
QListWidget::item:selected {{ background: {colours.selected}; color: {colours.text}; }}
QSplitter::handle {{ background: {colours.line}; }}
QPlainTextEdit {{ border: 1px solid {colours.line}; border-radius: 3px; background: {colours.base}; padding: 1px; }}
QTextBrowser#details {{ background: {colours.window}; border: none; border-top: 1px solid {colours.line}; }}
QPlainTextEdit:focus {{ border: 1px solid {colours.accent}; }}
QLineEdit {{ border: 1px solid {colours.line}; border-radius: 3px; background: {colours.base}; padding: 4px 6px; }}
QLineEdit:focus {{ border: 1px solid {colours.accent}; }}
QPushButton {{ background: {colours.raised}; border: 1px solid {colours.line}; border-radius: 3px; padding: 4px 12px; }}
QPushButton:hover {{ border: 1px solid {colours.dim}; }}
QPushButton:focus {{ border: 1px solid {colours.accent}; }}
QPushButton:disabled {{ color: {colours.dim}; }}
QPushButton#plain {{ background: transparent; border: none; padding: 0 6px; color: {colours.accent}; }}
QPushButton#plain:hover {{ text-decoration: underline; }}
QPushButton#plain:focus {{ text-decoration: underline; }}
QPushButton#alarm {{ background: transparent; border: none; padding: 3px 2px; color: {colours.error};
  text-align: left; font-weight: 600; }}
QPushButton#alarm:hover {{ text-decoration: underline; }}
QPushButton#alarm:focus {{ text-decoration: underline; }}
QPushButton#close {{ background: transparent; border: none; padding: 0 3px; color: {colours.dim}; }}
QPushButton#close:hover {{ color: {colours.text}; }}
QScrollBar {{ background: {colours.base}; }}
QScrollBar:vertical {{ width: 12px; margin: 0; }}
QScrollBar:horizontal {{ height: 12px; margin: 0; }}
QScrollBar::handle {{ background: {colours.line}; border: 2px solid {colours.base}; border-radius: 5px; }}
QScrollBar::handle:vertical {{ min-height: 24px; }}
QScrollBar::handle:horizontal {{ min-width: 24px; }}
QScrollBar::handle:hover {{ background: {colours.dim}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QLabel#dim {{ color: {colours.dim}; }}
QLabel#error {{ color: {colours.error}; }}
QLabel#warning {{ color: {colours.warning}; }}
QLabel#good {{ color: {colours.good}; }}
QLabel#heading {{ font-size: {px + 4}px; font-weight: 600; }}
QLabel#section {{ color: {colours.dim}; font-size: {px - 1}px; font-weight: 600; }}
QLabel#notice {{ background: {colours.warned}; color: {colours.warning}; padding: 3px 8px; }}
QDialog#palette {{ background: {colours.window}; border: 1px solid {colours.dim}; }}
QFrame#card {{ background: {colours.base}; border: 1px solid {colours.line}; border-radius: 6px; }}
"""


LOOK = Look()
"""The one look of this process."""
