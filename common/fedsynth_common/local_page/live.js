// Shows what the server says anew, without loading the page again.
const live = document.getElementById("live");
const main = document.querySelector("main");
const source = new EventSource("/events" + location.search);
source.onmessage = (event) => {
  main.innerHTML = JSON.parse(event.data);
  live.textContent = "";
};
source.onerror = () => {
  live.textContent = "This page hears nothing any more, so what it shows is old. Does the command still run?";
};
