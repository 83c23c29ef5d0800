// Numbers, durations and settings as text.
"use strict";

(function (Page) {
  Page.seconds = (value) => {
    if (value === null || value === undefined) return "";
    if (value < 60) return value < 10 ? value.toFixed(1) + " s" : Math.round(value) + " s";
    const minutes = Math.round(value) / 60;
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    if (minutes < 60) return Math.floor(minutes) + " min " + two(Math.round(value) % 60) + " s";
    return Math.floor(minutes / 60) + " h " + two(minutes % 60) + " min";
  };

  Page.count = (number, one, many) => number.toLocaleString("en") + " " + (number === 1 ? one : many || one + "s");

  Page.number = (value) => {
    if (typeof value !== "number") return Page.value(value);
    if (Number.isInteger(value)) return value.toLocaleString("en");
    const size = Math.abs(value);
    return size !== 0 && (size < 0.001 || size >= 1e6) ? value.toExponential(3) : value.toPrecision(4);
  };

  // Of a setting: as it was written.
  Page.setting = (value) => (typeof value === "number" ? String(value) : Page.value(value));

  Page.value = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value === "string") return value;
    return JSON.stringify(value);
  };

  Page.when = (seconds) => new Date(seconds * 1000).toLocaleString();

  Page.ago = (seconds) => {
    const past = Math.max(Date.now() / 1000 - seconds, 0);
    return past < 86400 ? Page.seconds(past) + " ago" : Page.when(seconds);
  };

  // Ten colours that are told apart without red and green, then the same with dashes.
  const COLOURS = ["#3b6fd4", "#e07b00", "#1a936f", "#c2378f", "#7a5bd0", "#a06a2c", "#0f9ab5", "#d0443e", "#6b8e23", "#7f7f7f"];
  Page.colour = (index) => COLOURS[index % COLOURS.length];
  Page.dash = (index) => [[], [8, 4], [2, 3], [10, 3, 2, 3]][Math.floor(index / COLOURS.length) % 4];
})(window.Page);
